"""How the state of the services is shown: a live table on a terminal, lines elsewhere."""

import time
from collections.abc import Sequence
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from acestep_serve.supervisor import State


class Lines:
    """One line per change, to each of `streams`."""

    def __init__(self, *streams: IO[str]) -> None:
        self._streams = list(streams)

    def changed(self, name: str, state: State, detail: str = "") -> None:
        self.say(f"{name}: {state.value}" + (f" ({detail})" if detail else ""))

    def ready(self) -> None:
        """Changes are shown as before."""

    def say(self, text: str) -> None:
        for stream in tuple(self._streams):
            try:
                print(text, file=stream, flush=True)
            except BrokenPipeError:  # nobody reads it any more
                self.drop(stream)

    def drop(self, stream: IO[str]) -> None:
        """Write nothing more to `stream`."""
        self._streams.remove(stream)


class LiveTable:
    """A row per service with the seconds it has taken, until all are ready; lines from then on."""

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console = console
        self._began = time.monotonic()
        self._spinner = Spinner("dots")
        self._rows = dict.fromkeys(names, (State.STARTING, ""))
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=8)
        self._live.start()

    def changed(self, name: str, state: State, detail: str = "") -> None:
        if self._live.is_started:
            shown = detail or (f"{time.monotonic() - self._began:.0f} s" if state is State.READY else "")
            self._rows[name] = (state, shown)
        else:
            Lines(self._console.file).changed(name, state, detail)
        if state is State.STOPPING:
            self.ready()

    def ready(self) -> None:
        """Leave the table as it is."""
        self._live.stop()

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, (state, detail) in self._rows.items():
            waiting = state in (State.STARTING, State.RESTARTING)
            elapsed = f"{time.monotonic() - self._began:.0f} s" if state is State.STARTING else detail
            table.add_row(self._spinner if waiting else "●", name, state.value, elapsed)
        return table
