"""One request from the queue to its last token: waiting, watching, measuring."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from common import tracing
from common.errors import AceError, Kind
from lm_service import metrics
from lm_service.admission import Admission, Place, Room
from lm_service.engine import Engine, Job

PROGRESS_TOKENS = 16
PROGRESS_S = 0.5


@dataclass(slots=True)
class Record:
    """What a request has written so far, and when."""

    job: Job
    tokens: list[int] = field(default_factory=list)
    joined: float = field(default_factory=time.monotonic)
    admitted: float = 0.0
    first: float = 0.0
    last: float = 0.0

    def add(self, tokens: tuple[int, ...]) -> None:
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.tokens += tokens

    @property
    def queue_s(self) -> float:
        return self.admitted - self.joined

    @property
    def run_s(self) -> float:
        return self.last - self.admitted

    @property
    def tokens_per_second(self) -> float:
        """Since the first token; 0 until there is a second one."""
        passed_s = self.last - self.first
        return (len(self.tokens) - 1) / passed_s if passed_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Time to say how far a request is."""


class Generations:
    """Runs jobs on an engine, as many at a time as there are rows."""

    def __init__(
        self,
        engine: Engine,
        admission: Admission,
        stall_s: float,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`pause` is how time passes; tests hold it."""
        self.engine = engine
        self.admission = admission
        self._stall_s = stall_s
        self._pause = pause
        self._signs_of_life = 0
        """How often any request began or got a token."""

    async def run(self, record: Record) -> AsyncGenerator[Place | Progress, None]:
        """Write `record.job` into `record`: places in the queue, then progress as tokens arrive.

        Progress comes every 16 tokens or half a second, whichever is first, and after the last
        token. Closing the generator takes the job out of the queue or the batch at once. Raises
        `AceError`: OVERLOADED, TIMEOUT if no token arrives for too long, or what the engine raises.
        """
        room = Room(record.job.row_count, record.job.cache_token_count)
        async with self.admission.join(room) as ticket:
            async for place in self.admission.places(ticket):
                yield place
            record.admitted = time.monotonic()
            phase = record.job.task.outline.phase.value
            metrics.QUEUE_SECONDS.labels(phase).observe(record.queue_s)
            tracing.past("queue", record.joined)
            async with aclosing(self._write(record)) as steps:
                async for step in steps:
                    yield step

    async def _write(self, record: Record) -> AsyncGenerator[Progress, None]:
        phase = record.job.task.outline.phase.value
        reported, reported_at, ended = 0, time.monotonic(), False
        with metrics.REQUESTS_RUNNING.labels(phase).track_inprogress():
            try:
                async with aclosing(self.engine.generate(record.job)) as stream:
                    async for tokens in self._watched(stream, phase):
                        if not record.tokens:
                            metrics.FIRST_TOKEN_SECONDS.labels(phase).observe(
                                time.monotonic() - record.admitted
                            )
                        record.add(tokens)
                        metrics.TOKENS.labels(phase).inc(len(tokens))
                        if (
                            len(record.tokens) - reported >= PROGRESS_TOKENS
                            or record.last - reported_at >= PROGRESS_S
                        ):
                            written = len(record.tokens) - reported
                            metrics.TOKEN_SECONDS.labels(phase).observe(
                                (record.last - reported_at) / written
                            )
                            reported, reported_at = len(record.tokens), record.last
                            yield Progress()
                ended = True
                metrics.RUN_SECONDS.labels(phase).observe(record.run_s)
            finally:
                tracing.past(phase, record.admitted, tokens=len(record.tokens), rows=record.job.row_count)
                if not ended:
                    metrics.ABORTS.labels(phase).inc()
        if reported < len(record.tokens):
            yield Progress()

    async def _watched(
        self, stream: AsyncGenerator[tuple[int, ...], None], phase: str
    ) -> AsyncIterator[tuple[int, ...]]:
        """`stream`, watched. Others' tokens count as a sign of life: a request may wait for memory long."""
        self._signs_of_life += 1
        silence = asyncio.ensure_future(self._silence())
        try:
            while True:
                step = asyncio.ensure_future(anext(stream))
                try:
                    await asyncio.wait((step, silence), return_when=asyncio.FIRST_COMPLETED)
                    if not step.done():
                        raise self._stalled(phase)
                finally:
                    if step.cancel():
                        await asyncio.wait((step,))  # a generator can be closed only when it rests
                try:
                    tokens = step.result()
                except StopAsyncIteration:
                    return
                self._signs_of_life += 1
                yield tokens
        finally:
            silence.cancel()

    async def _silence(self) -> None:
        """Return when no request has shown a sign of life for as long as that may take."""
        seen = None
        while seen != self._signs_of_life:
            seen = self._signs_of_life
            await self._pause(self._stall_s)

    def _stalled(self, phase: str) -> AceError:
        return AceError(
            Kind.TIMEOUT,
            "STALLED",
            f"no token from the engine for {self._stall_s:g} s, in the {phase} phase",
            phase=phase,
        )
