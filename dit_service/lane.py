"""The way to the device: blocking work off the event loop, in the order it came."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from common.errors import AceError, Kind
from dit_service import metrics
from dit_service.due import Due
from dit_service.rounds import Errand, Rounds

T = TypeVar("T")

HISTORY = 0.3
"""Weight of the latest job in the mean that waits are estimated by."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where a job waits."""

    position: int
    """Jobs ahead of it in the queue; 0 is next."""
    estimated_s: float | None
    """Rough wait; `None` without history."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The job has the device now."""

    waited_s: float


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class _Job(Generic[T]):
    """A job as the event loop sees it, and what its caller has not read of it yet."""

    def __init__(self, lane: "Lane", steps: Generator[T | Due, None, None], share: float) -> None:
        self.errand = Errand(steps, self)
        self.share = share
        self.came_at = time.monotonic()
        self._lane = lane
        self._events: asyncio.Queue[Waiting | Begun | T | _End] = asyncio.Queue()
        self._told: Waiting | None = None

    def waits(self, waiting: Waiting) -> None:
        if waiting != self._told:
            self._told = waiting
            self.saw(waiting)

    def saw(self, event: Waiting | Begun | T) -> None:
        self._events.put_nowait(event)

    def ended(self, error: BaseException | None, seconds: float) -> None:
        self._events.put_nowait(_End(error))
        self._lane.ended(self, None if error or self.errand.abandoned.is_set() else seconds)

    async def follow(self) -> AsyncIterator[Waiting | Begun | T]:
        while not isinstance(event := await self._events.get(), _End):
            yield event
        if event.error is not None:
            raise event.error


class Lane:
    """Runs generators of blocking steps on the single thread that owns the device.

    Jobs begin in the order they came, as many at once as `max_together` and the memory allow, and
    take turns step by step. What a job yields is kept until its caller reads it, so a slow reader
    never holds the device; a job yields a few numbers a step and one result. A job whose caller
    has gone leaves the queue at once, or stops before its next step.
    """

    def __init__(self, max_queued: int, max_together: int = 1) -> None:
        self._max_queued = max_queued
        self.max_together = max_together
        self._rounds = Rounds()
        self._queue: deque[_Job[Any]] = deque()
        self._running: list[_Job[Any]] = []
        self._mean_s: float | None = None

    def refuse_if_full(self, share: float = 0.0) -> None:
        """Raises `AceError` (OVERLOADED) if a job that came now could not even wait."""
        if len(self._queue) >= self._max_queued and (self._queue or not self._has_room(share)):
            raise AceError(
                Kind.OVERLOADED,
                "QUEUE_FULL",
                f"{len(self._queue)} jobs wait already; retry later",
                retry_after_s=self._wait_s(len(self._queue)) or 5.0,
                queued=len(self._queue),
            )

    @asynccontextmanager
    async def run(
        self, steps: Generator[T | Due, None, None], share: float = 0.0
    ) -> AsyncIterator[AsyncIterator[Waiting | Begun | T]]:
        """Hand out where the job waits, then that it has begun, then what `steps` yields.

        `share` is how much of the device's memory for songs the job takes, up to 1. Leaving the
        block gives up what is left of the job. Raises `AceError` (OVERLOADED) at once if the
        queue is full, and whatever `steps` raises.
        """
        self.refuse_if_full(share)
        job: _Job[T] = _Job(self, steps, share)
        self._queue.append(job)
        self._advance()
        try:
            yield job.follow()
        finally:
            self._give_up(job)

    def close(self) -> None:
        """Wait until the running jobs have stopped, then end the thread. What waits never begins."""
        self._queue.clear()
        for job in self._running:
            job.errand.abandoned.set()
        self._rounds.close()

    def ended(self, job: _Job[Any], seconds: float | None) -> None:
        """`job` has left the device; `seconds` is what it took if it was done."""
        self._running.remove(job)
        if seconds is not None:
            self._mean_s = (
                seconds if self._mean_s is None else self._mean_s + HISTORY * (seconds - self._mean_s)
            )
        self._advance()

    def _advance(self) -> None:
        """Begin what may begin, and tell the others where they are."""
        while self._queue and self._has_room(self._queue[0].share):
            job = self._queue.popleft()
            self._running.append(job)
            job.saw(Begun(time.monotonic() - job.came_at))
            self._rounds.join(job.errand)
        for position, waiting in enumerate(self._queue):
            waiting.waits(Waiting(position, self._wait_s(position)))
        metrics.JOBS_QUEUED.set(len(self._queue))
        metrics.MEMORY_SHARE.set(self._share)

    def _has_room(self, share: float) -> bool:
        """Whether a job of this share may begin. None overtakes the first that waits, however small."""
        if not self._running:
            return True
        return len(self._running) < self.max_together and self._share + share <= 1

    @property
    def _share(self) -> float:
        return sum(job.share for job in self._running)

    def _give_up(self, job: _Job[Any]) -> None:
        job.errand.abandoned.set()
        if job in self._queue:
            self._queue.remove(job)
            job.errand.steps.close()  # never begun: nothing runs, so the thread is not needed
            self._advance()

    def _wait_s(self, position: int) -> float | None:
        """Until so many that wait, and one that runs, are done; those that run end one by one."""
        if self._mean_s is None:
            return None
        return self._mean_s * (position + 1) / max(1, len(self._running))
