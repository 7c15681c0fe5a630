"""An engine that stands in for vLLM. It keeps the real one's promises, quickly."""

import asyncio
import random
from collections.abc import AsyncGenerator

from common.errors import AceError, Kind
from common.revision import Revision
from lm_service.engine import Job, Model
from lm_service.grammar import Grammar
from lm_service.outline import Codes, Only
from lm_service.writer import Writer
from tests.lm.golden import vocabulary

GRAMMAR = Grammar(vocabulary(), 64_000)


class FakeEngine:
    """Draws from what the grammar allows; the seed decides.

    With `paused=True` each token waits for `allow`: the test decides when time passes. `script`
    is written instead, whatever the grammar says.
    """

    def __init__(
        self,
        *,
        paused: bool = False,
        script: str | None = None,
        max_model_len: int = 8192,
        cache_token_count: int = 100_000,
        grammar: Grammar = GRAMMAR,
        recommended_cfg_scale: float | None = None,
    ) -> None:
        self.model = Model(
            revision=Revision("acestep-5Hz-lm-fake", "r1"),
            grammar=grammar,
            max_model_len=max_model_len,
            recommended_cfg_scale=recommended_cfg_scale,
        )
        self.cache_token_count = cache_token_count
        self.jobs: list[Job] = []
        self.started = asyncio.Event()
        self.closed = asyncio.Event()
        self.starved_seed = -1
        """Seed of the request that gets no token, as if memory were short."""
        self._script = script
        self._permits = asyncio.Semaphore(0) if paused else None
        self._unfinished = 0

    def allow(self, token_count: int) -> None:
        assert self._permits is not None, "the engine is not paused"
        for _ in range(token_count):
            self._permits.release()

    async def generate(self, job: Job) -> AsyncGenerator[tuple[int, ...], None]:
        self.jobs.append(job)
        self._unfinished += 1
        self.started.set()
        try:
            if job.task.sampling.seed == self.starved_seed:
                await asyncio.Event().wait()
            for token in self._tokens(job):
                if self._permits:
                    await self._permits.acquire()
                yield (token,)
        finally:
            self._unfinished -= 1
            self.closed.set()

    def unfinished_count(self) -> int:
        return self._unfinished

    def preemption_count(self) -> int:
        return 3

    def running_row_count(self) -> int:
        return 2 * self._unfinished

    def cache_used_ratio(self) -> float:
        return 0.25

    def mask_counts(self) -> dict[str, int]:
        return {"forced": 4, "codes": 5}

    def _tokens(self, job: Job) -> list[int]:
        if self._script is not None:
            return [*vocabulary().encode(self._script)]
        grammar = self.model.grammar
        draw = random.Random(job.task.sampling.seed)
        writer, tokens = Writer(grammar, job.task.outline), list[int]()
        while len(tokens) < job.max_tokens and (not tokens or tokens[-1] not in job.stop_tokens):
            allowed = writer.allowed()
            if isinstance(allowed, Only):
                choices = list(allowed.tokens)
            elif isinstance(allowed, Codes):
                choices = [*range(grammar.window.first, grammar.window.stop)]
                choices += [vocabulary().end_of_turn] if allowed.or_end else []
            else:
                choices = grammar.mask(allowed).nonzero()[0].tolist()
            tokens.append(draw.choice(choices))
            writer.advance(tokens[-1:])
        return tokens


class BrokenEngine(FakeEngine):
    """Dies at the first token."""

    async def generate(self, job: Job) -> AsyncGenerator[tuple[int, ...], None]:
        raise AceError(Kind.UNAVAILABLE, "ENGINE_DEAD", "the engine has died")
        yield ()


class Hourglasses:
    """Time that passes when the test says so. Waits are counted, not measured."""

    def __init__(self) -> None:
        self._running: set[asyncio.Future[None]] = set()
        self._changed = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        glass = asyncio.get_running_loop().create_future()
        self._running.add(glass)
        self._changed.set()
        try:
            await glass
        finally:
            self._running.discard(glass)
            self._changed.set()

    async def running(self, count: int) -> None:
        """Wait until there are so many."""
        while len(self._running) != count:
            self._changed.clear()
            await self._changed.wait()

    async def run_out(self, count: int) -> None:
        """Let time pass for those that are running, once they are so many."""
        await self.running(count)
        glasses, self._running = self._running, set()
        for glass in glasses:
            glass.set_result(None)
