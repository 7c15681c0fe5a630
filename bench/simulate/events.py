"""Time that passes by events, and machines that work: one job after the other, or all together."""

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count


class Clock:
    """Calls what was planned, in the order of its time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._order = count()
        self._planned: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._planned, (self.now_s + seconds, next(self._order), what))

    def run(self) -> None:
        """Until nothing is planned any more."""
        while self._planned:
            self.now_s, _, what = heapq.heappop(self._planned)
            what()


class Line:
    """Machines that each do one job at a time, with one line before them all."""

    def __init__(self, clock: Clock, machine_count: int) -> None:
        self._clock = clock
        self._free = machine_count
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self.busy_s = 0.0
        """Of all machines together."""

    def work(self, seconds: float, done: Callable[[], None]) -> None:
        """Take a machine for so long when the turn has come."""
        self._waiting.append((seconds, done))
        self._advance()

    def _advance(self) -> None:
        while self._free and self._waiting:
            seconds, done = self._waiting.popleft()
            self._free -= 1
            self.busy_s += seconds
            self._clock.after(seconds, lambda done=done: self._ended(done))  # type: ignore[misc]

    def _ended(self, done: Callable[[], None]) -> None:
        self._free += 1
        done()
        self._advance()


class Batch:
    """One machine that does all its jobs together, a step of each at a time.

    `step_s` says how long a step takes with so many jobs; at most `room` are in it at once.
    """

    def __init__(self, clock: Clock, step_s: Callable[[int], float], room: int) -> None:
        self._clock = clock
        self._step_s = step_s
        self._room = room
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self._inside: list[tuple[float, int, Callable[[], None]]] = []
        """A heap by the count of steps at which a job ends."""
        self._order = count()
        self._steps_done = 0.0
        self._at_s = 0.0
        self._version = 0
        self.job_s = 0.0
        """Seconds that jobs were inside, added up."""

    @property
    def load(self) -> int:
        return len(self._waiting) + len(self._inside)

    def work(self, steps: float, done: Callable[[], None]) -> None:
        """Take so many steps."""
        self._catch_up()
        self._waiting.append((steps, done))
        self._plan()

    def _catch_up(self) -> None:
        passed_s, self._at_s = self._clock.now_s - self._at_s, self._clock.now_s
        if self._inside:
            self.job_s += passed_s * len(self._inside)
            self._steps_done += passed_s / self._step_s(len(self._inside))

    def _plan(self) -> None:
        while self._waiting and len(self._inside) < self._room:
            steps, done = self._waiting.popleft()
            heapq.heappush(self._inside, (self._steps_done + steps, next(self._order), done))
        self._version += 1
        if self._inside:
            left = max(0.0, self._inside[0][0] - self._steps_done)
            wait_s = left * self._step_s(len(self._inside))
            self._clock.after(wait_s, lambda version=self._version: self._first_ends(version))  # type: ignore[misc]

    def _first_ends(self, version: int) -> None:
        if version != self._version:  # somebody came or went, and another end was planned
            return
        self._catch_up()
        _, _, done = heapq.heappop(self._inside)
        self._plan()
        done()
