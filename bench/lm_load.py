"""A load that never rests: `IN_FLIGHT` calls at a time, some left on the way, the others compared.

The parts of `bench.lm_soak`, which a test uses too.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc

from bench.lm_mix import Call
from common.status import from_rpc_error
from lm_service.admission import Admission
from lm_service.engine import Job, Model

if TYPE_CHECKING:
    from lm_service.vllm_engine import VllmEngine

IN_FLIGHT = 64
LEAVING = 0.3
"""Share of the calls that are cancelled, or whose deadline passes, at a random moment."""
LONGEST_STAY_S = 3.0
DRAIN_S = 60.0

Expected = Callable[[Job], Awaitable[list[int]]]


@dataclass(slots=True)
class Referee:
    """Compares what was written with what `expected` says; asks only once for equal jobs."""

    expected: Expected
    compared: Counter[str] = field(default_factory=Counter)
    """Requests that ran to their end, by what they were."""
    token_count: int = 0
    differing: list[str] = field(default_factory=list)
    _known: dict[Job, asyncio.Task[list[int]]] = field(default_factory=dict)
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    def judge(self, job: Job, tokens: list[int]) -> None:
        task = asyncio.create_task(self._judge(job, tokens))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def decided(self) -> None:
        """Wait for the comparisons that are still open."""
        while self._open:
            await asyncio.gather(*self._open)

    async def _judge(self, job: Job, tokens: list[int]) -> None:
        if job not in self._known:
            self._known[job] = asyncio.ensure_future(self.expected(job))
        expected = await self._known[job]
        self.compared[_kind(job)] += 1
        self.token_count += len(tokens)
        if tokens != expected:
            pairs = zip(tokens, expected, strict=False)
            shorter = min(len(tokens), len(expected))
            at = next((place for place, (ours, its) in enumerate(pairs) if ours != its), shorter)
            self.differing.append(f"{_kind(job)}, seed {job.task.sampling.seed}: token {at} differs")

    @property
    def job_count(self) -> int:
        return len(self._known)


def _kind(job: Job) -> str:
    outline = job.task.outline
    guided = "guided" if job.row_count == 2 else "unguided"
    return f"{outline.phase.value} {guided} {'constrained' if outline.constrained else 'free'}"


class Observed:
    """An `Engine` whose requests are compared by a referee when they end."""

    def __init__(self, engine: VllmEngine, referee: Referee) -> None:
        self._engine = engine
        self._referee = referee
        self.left = 0
        """Requests that were given up on their way."""

    @property
    def model(self) -> Model:
        return self._engine.model

    @property
    def cache_token_count(self) -> int:
        return self._engine.cache_token_count

    def unfinished_count(self) -> int:
        return self._engine.unfinished_count()

    async def generate(self, job: Job) -> AsyncGenerator[tuple[int, ...], None]:
        tokens, ended = list[int](), False
        try:
            async with aclosing(self._engine.generate(job)) as stream:
                async for new in stream:
                    tokens += new
                    yield new
            ended = True
        finally:
            self.left += not ended
        self._referee.judge(job, tokens)


class Load:
    """Keeps calls in flight, for a while at a time."""

    def __init__(self, stub: Any, pool: list[Call], seed: int) -> None:
        self._stub = stub
        self._pool = pool
        self._draw = random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        """How calls ended: `ended`, `cancelled`, `expired`, or the reason of an error."""

    async def run(self, seconds: float, in_flight: int = IN_FLIGHT) -> None:
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as callers:
            for _ in range(in_flight):
                callers.create_task(self._calls(until))

    async def _calls(self, until: float) -> None:
        while time.monotonic() < until:
            self.outcomes[await self._call()] += 1

    async def _call(self) -> str:
        name, request = self._draw.choice(self._pool)
        leaves = self._draw.random() < LEAVING
        expires = leaves and self._draw.random() < 0.3
        stay_s = self._draw.uniform(0, LONGEST_STAY_S)
        call = getattr(self._stub, name)(request, timeout=stay_s if expires else None)
        events = asyncio.create_task(self._read(call))
        await asyncio.wait((events,), timeout=stay_s if leaves and not expires else None)
        if not events.done():
            call.cancel()
            await asyncio.wait((events,))
        if events.cancelled():
            return "cancelled"
        try:
            return events.result()
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and expires:
                return "expired"
            return from_rpc_error(error).reason

    async def _read(self, call: Any) -> str:
        last = None
        async for event in call:
            last = event
        assert last is not None, "a call ended without a word"
        assert last.HasField("result"), "a call ended without its result"
        return "ended"


async def leaks(engine: VllmEngine, admission: Admission, idle: Job) -> list[str]:
    """What is still held although nothing runs; `idle` is a short request of one row, run to look."""
    deadline = time.monotonic() + DRAIN_S
    while (engine.unfinished_count() or admission.running_count) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)  # cancelled calls are still on their way
    found = []
    if count := engine.unfinished_count():
        found.append(f"the engine still has {count} requests")
    if admission.free != admission.room or admission.queued_count or admission.running_count:
        found.append(f"admission has {admission.free} of {admission.room} free")
    if not await engine.forget_prefixes():
        found.append("blocks of the cache are held by nobody")
    async with aclosing(engine.generate(idle)) as stream:
        async for _ in stream:
            pass
    if count := engine.running_row_count():  # told as `idle` ended
        found.append(f"{count} rows belong to nobody")
    return found
