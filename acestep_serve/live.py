"""Show a generation while it runs."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from acestep.gateway.v1 import music_service_pb2 as pb

PHASES = {
    pb.PHASE_PLAN: "planning",
    pb.PHASE_CODES: "writing codes",
    pb.PHASE_CONDITIONING: "conditioning",
    pb.PHASE_DIFFUSION: "diffusion",
    pb.PHASE_DECODING: "decoding",
    pb.PHASE_ENCODING: "encoding",
}
STAGES = {pb.STAGE_LM: "language model", pb.STAGE_DIT: "diffusion"}


class Pace:
    """How long a phase of a song goes on: as the server says, or as long as its steps took so far."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: dict[tuple[int, pb.Phase], tuple[float, int]] = {}
        """When the first step of a phase was told, and which it was."""

    def left_s(self, progress: pb.Progress) -> float | None:
        """None as long as nobody can know."""
        if progress.HasField("estimated_remaining_seconds"):
            return progress.estimated_remaining_seconds
        now, done = self._clock(), progress.step_count
        began, first = self._first.setdefault((progress.song_index, progress.phase), (now, done))
        if not progress.HasField("total_step_count") or done <= first:
            return None
        return (now - began) / (done - first) * (progress.total_step_count - done)


class LiveGeneration:
    """A line per song with its phase, its steps and the time that they will take; the planned fields
    above, as they are written.

    On a terminal the lines move; elsewhere each phase is printed once.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._pace = Pace(clock)
        self._bars = Progress(
            TextColumn("{task.description:<9}"),
            TextColumn("{task.fields[phase]:<14}"),
            BarColumn(20 if console.width >= 100 else 10),
            TextColumn("{task.fields[steps]:<9}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[int | None, TaskID] = {}
        self._asking: TaskID | None = None
        """Shown until the server says anything: it may be asked several times, with pauses."""
        self._phases: dict[int | None, str] = {}

    def __enter__(self) -> Self:
        self._asking = self._bars.add_task("request", total=None, phase="asking", steps="", left="")
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, event: pb.GenerateMusicResponse) -> None:
        if self._asking is not None:
            self._bars.remove_task(self._asking)
            self._asking = None
        kind = event.WhichOneof("event")
        if kind == "accepted":
            for warning in event.accepted.warnings:
                self._console.print(f"[yellow]note:[/] {escape(warning)}")
        elif kind == "queued":
            queued = event.queued
            song = queued.song_index if queued.HasField("song_index") else None
            place, status = f"{queued.status.position} ahead", queued.status
            wait_s = status.estimated_wait_seconds if status.HasField("estimated_wait_seconds") else None
            self._update(song, f"waiting: {STAGES[queued.stage]}", 0, None, place, wait_s)
        elif kind == "plan_field":
            if None not in self._tasks:
                self._update(None, PHASES[pb.PHASE_PLAN], 0, None, "")
            value = event.plan_field.value
            value = value if len(value) <= 100 else value[:97] + "..."
            self._console.print(f"  planned {event.plan_field.name}: {escape(value)}")
        elif kind == "progress":
            self._show_progress(event.progress)
        elif kind == "song" and event.song.HasField("error"):
            self._update(event.song.song_index, "failed", 0, None, "")

    def _show_progress(self, progress: pb.Progress) -> None:
        song = progress.song_index if progress.HasField("song_index") else None
        total = progress.total_step_count if progress.HasField("total_step_count") else None
        steps = f"{progress.step_count}/{total}" if total else str(progress.step_count)
        if song is not None and None in self._tasks:  # songs begin where the plan ends
            self._bars.remove_task(self._tasks.pop(None))
        phase, left_s = PHASES.get(progress.phase, "working"), self._pace.left_s(progress)
        self._update(song, phase, progress.step_count, total, steps, left_s)

    def _update(
        self,
        song: int | None,
        phase: str,
        done: int,
        total: int | None,
        steps: str,
        left_s: float | None = None,
    ) -> None:
        name = "plan" if song is None else f"song {song + 1}"
        left = "" if left_s is None else f"about {left_s:.0f} s more"
        if song not in self._tasks:
            self._tasks[song] = self._bars.add_task(name, total=total, phase=phase, steps=steps, left=left)
        self._bars.update(
            self._tasks[song], completed=done, total=total, phase=phase, steps=steps, left=left
        )
        if not self._console.is_terminal and self._phases.get(song) != phase:
            self._console.print(f"{name}: {phase}")
        self._phases[song] = phase
