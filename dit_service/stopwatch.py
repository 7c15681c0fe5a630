"""How long a job's phases take, of the device's time."""

import time

import torch

from dit_service.engine import Phase

Mark = float | torch.cuda.Event


class Stopwatch:
    """Adds up the time spent by phase, waiting for other songs' pieces of work included.

    It does not wait for a GPU: laps are noted there, and read once all of them are over.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks = [self._now()]
        self._phases: list[Phase] = []

    def lap(self, phase: Phase) -> None:
        self._phases.append(phase)
        self._marks.append(self._now())

    def seconds(self) -> dict[Phase, float]:
        found: dict[Phase, float] = {}
        for phase, start, end in zip(self._phases, self._marks, self._marks[1:], strict=False):
            found[phase] = found.get(phase, 0.0) + _between(start, end)
        return found

    def _now(self) -> Mark:
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def _between(start: Mark, end: Mark) -> float:
    if isinstance(start, float) or isinstance(end, float):
        assert isinstance(start, float)
        assert isinstance(end, float)
        return end - start
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3
