"""One lane to the device: blocking work, one job at a time, off the event loop."""

import asyncio
import contextvars
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from common.errors import AceError, Kind
from dit_service import metrics
from dit_service.due import Due

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


@dataclass(eq=False, slots=True)
class _Job(Generic[T]):
    steps: Generator[T | Due, None, None]
    events: asyncio.Queue[Waiting | Begun | T | _End] = field(default_factory=asyncio.Queue)
    abandoned: threading.Event = field(default_factory=threading.Event)
    # The caller's request id goes along to the thread, and from there into its log lines.
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    came_at: float = field(default_factory=time.monotonic)

    async def follow(self) -> AsyncIterator[Waiting | Begun | T]:
        while not isinstance(event := await self.events.get(), _End):
            yield event
        if event.error is not None:
            raise event.error


class Lane:
    """Runs generators of blocking steps on the single thread that owns the device.

    Jobs run in the order they came. What a job yields is kept until its caller reads it, so a
    slow reader never holds the device; a job yields a few numbers a step and one result. A job
    whose caller has gone leaves the queue at once, or stops before its next step; its generator
    is closed on the thread before the next job begins.
    """

    def __init__(self, max_queued: int) -> None:
        self._max_queued = max_queued
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        self._queue: deque[_Job[Any]] = deque()
        self._running: _Job[Any] | None = None
        self._mean_s: float | None = None

    def refuse_if_full(self) -> None:
        """Raises `AceError` (OVERLOADED) if a job that came now could not even wait."""
        if self._running is not None and len(self._queue) >= self._max_queued:
            raise AceError(
                Kind.OVERLOADED,
                "QUEUE_FULL",
                f"{len(self._queue)} jobs wait already; retry later",
                retry_after_s=self._wait_s(len(self._queue)) or 5.0,
                queued=len(self._queue),
            )

    @asynccontextmanager
    async def run(
        self, steps: Generator[T | Due, None, None]
    ) -> AsyncIterator[AsyncIterator[Waiting | Begun | T]]:
        """Hand out where the job waits, then that it has begun, then what `steps` yields.

        Leaving the block gives up what is left of the job. Raises `AceError` (OVERLOADED) at
        once if the queue is full, and whatever `steps` raises.
        """
        self.refuse_if_full()
        job: _Job[T] = _Job(steps)
        self._queue.append(job)
        self._advance()
        try:
            yield job.follow()
        finally:
            self._give_up(job)

    def close(self) -> None:
        """Wait until the running job has stopped, then end the thread."""
        if self._running is not None:
            self._running.abandoned.set()
        self._thread.shutdown()

    def _advance(self) -> None:
        """Begin the next job if the device is free, and tell the others where they are."""
        if self._running is None and self._queue:
            job = self._running = self._queue.popleft()
            job.events.put_nowait(Begun(time.monotonic() - job.came_at))
            self._thread.submit(job.context.run, self._work, job, asyncio.get_running_loop())
        for position, waiting in enumerate(self._queue):
            waiting.events.put_nowait(Waiting(position, self._wait_s(position)))
        metrics.JOBS_QUEUED.set(len(self._queue))

    def _give_up(self, job: _Job[T]) -> None:
        job.abandoned.set()
        if job in self._queue:
            self._queue.remove(job)
            job.steps.close()  # never begun: nothing runs, so the thread is not needed
            self._advance()

    def _work(self, job: _Job[T], loop: asyncio.AbstractEventLoop) -> None:
        """Run `job` to its end, its failure or its caller's leaving. On the device's thread."""
        metrics.DEVICE_BUSY.set(1)
        started = time.monotonic()
        error: BaseException | None = None
        try:
            while not job.abandoned.is_set() and (event := next(job.steps, None)) is not None:
                if not isinstance(event, Due):  # that is done alone when the job goes on
                    loop.call_soon_threadsafe(job.events.put_nowait, event)
            job.steps.close()
        except BaseException as caught:  # noqa: BLE001  # its caller, on another thread, gets it
            error = caught
        finally:
            metrics.DEVICE_BUSY.set(0)
            loop.call_soon_threadsafe(self._ended, job, error, time.monotonic() - started)

    def _ended(self, job: _Job[T], error: BaseException | None, seconds: float) -> None:
        job.events.put_nowait(_End(error))
        self._running = None
        if error is None and not job.abandoned.is_set():
            self._mean_s = (
                seconds if self._mean_s is None else self._mean_s + HISTORY * (seconds - self._mean_s)
            )
        self._advance()

    def _wait_s(self, position: int) -> float | None:
        """Until `position` jobs and the running one are done."""
        return None if self._mean_s is None else self._mean_s * (position + 1)
