"""How long a stage trains, and what it tells of itself."""

import json
import math
import time
from pathlib import Path


def wait_for(path: Path) -> None:
    """Until another process has written `path`, which it renames into place when it is whole."""
    while not path.exists():
        time.sleep(0.2)


class Budget:
    """Wall-clock time as progress, 0 to 1: stages end on time whatever the machine."""

    def __init__(self, minutes: float, most_steps: int | None = None) -> None:
        self._made, self._seconds = time.monotonic(), 60 * minutes
        self._began = self._made
        self._most_steps = most_steps

    def begin(self) -> None:
        """Now training begins; what came before is part of the time, and not of the progress."""
        self._began = time.monotonic()

    def progress(self, step: int) -> float:
        if self._most_steps is not None:
            return min(1.0, step / self._most_steps)
        left = self._made + self._seconds - self._began
        return min(1.0, (time.monotonic() - self._began) / left) if left > 0 else 1.0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._made


def learning_rate(peak: float, progress: float, step: int, warm_up: int = 200) -> float:
    """A short rise by steps, then half a cosine down to a fiftieth."""
    fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
    return peak * fall * min(1.0, (step + 1) / warm_up)


class Journal:
    """Figures as JSON lines, on disk and on the screen."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a")

    def note(self, **figures: float | int | str) -> None:
        rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in figures.items()}
        line = json.dumps(rounded)
        self._file.write(line + "\n")
        self._file.flush()
        print(line, flush=True)
