"""`LmService` when there is no room yet, when a caller leaves, and when nothing comes."""

import asyncio

import grpc
import pytest
from prometheus_client import REGISTRY

from lm_service.generation import PROGRESS_TOKENS
from tests.lm.calls import all_of, codes, error_of, plan, running
from tests.lm.conftest import Connector
from tests.lm.fakes import FakeEngine, Hourglasses


async def test_requests_wait_their_turn_and_are_refused_when_the_queue_is_full(connect: Connector) -> None:
    engine = FakeEngine(paused=True)
    async with connect(engine, max_rows=2, max_queued=1) as lm:
        consumed = asyncio.create_task(all_of(lm.GenerateCodes(codes(duration_seconds=0.2))))
        await engine.started.wait()
        second = aiter(lm.Plan(plan()))
        waiting = await anext(second)
        code, error = await error_of(lm.Plan(plan()))
        engine.allow(10_000)
        events = await all_of(second)
        await consumed

    assert waiting.queued.position == 0
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.reason == "QUEUE_FULL"
    assert error.retry_after_s is not None
    assert events[-1].result.usage.queue_seconds > 0


async def test_a_request_whose_tokens_would_not_fit_beside_the_others_waits(connect: Connector) -> None:
    """Rows are left, but each takes a prompt and 500 codes in two rows of a cache of 2000 tokens."""
    engine = FakeEngine(paused=True, cache_token_count=2000)
    async with connect(engine, max_rows=8) as lm:
        first = asyncio.create_task(all_of(lm.GenerateCodes(codes(duration_seconds=100.0))))
        await engine.started.wait()
        second = aiter(lm.GenerateCodes(codes(duration_seconds=100.0)))
        waiting = await anext(second)
        engine.allow(10_000)
        events = await all_of(second)
        await first

    assert waiting.queued.position == 0
    assert events[-1].result.code_count == 500
    assert engine.jobs[0].cache_token_count == engine.jobs[0].prompt_token_count + 1000


@pytest.mark.parametrize("leave", ["cancel", "deadline"])
async def test_a_caller_who_leaves_frees_the_rows_at_once(connect: Connector, leave: str) -> None:
    engine = FakeEngine(paused=True)
    async with connect(engine, max_rows=2) as lm:
        abandoned = lm.GenerateCodes(codes(), timeout=0.3 if leave == "deadline" else None)
        consumed = asyncio.create_task(error_of(abandoned))
        await engine.started.wait()
        assert running("codes") == 1
        if leave == "cancel":
            abandoned.cancel()
        await engine.closed.wait()
        engine.allow(10_000)
        following = await all_of(lm.GenerateCodes(codes(seed=2)))
        await asyncio.gather(consumed, return_exceptions=True)

    assert following[-1].result.code_count == 10
    assert engine.unfinished_count() == 0
    assert running("codes") == 0


async def test_a_caller_who_leaves_the_queue_makes_room_in_it(connect: Connector) -> None:
    engine = FakeEngine(paused=True)
    async with connect(engine, max_rows=1, max_queued=1) as lm:
        first = asyncio.create_task(all_of(lm.Plan(plan())))
        await engine.started.wait()
        abandoned = lm.Plan(plan())
        assert (await abandoned.read()).HasField("queued")
        abandoned.cancel()
        while REGISTRY.get_sample_value("acestep_lm_requests_queued"):
            await asyncio.sleep(0)  # until the cancel has arrived
        following = aiter(lm.Plan(plan()))
        assert (await anext(following)).HasField("queued")
        engine.allow(10_000)
        await first
        await all_of(following)

    assert len(engine.jobs) == 2


async def test_a_request_without_tokens_ends_with_the_name_of_its_phase(connect: Connector) -> None:
    engine = FakeEngine(paused=True)
    async with connect(engine, stall_s=0.05) as lm:
        code, error = await error_of(lm.GenerateCodes(codes()))

    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (error.reason, error.facts["phase"]) == ("STALLED", "codes")
    assert engine.unfinished_count() == 0


async def test_a_request_that_waits_for_others_inside_the_engine_has_not_stalled(
    connect: Connector,
) -> None:
    """One waits without a token while the other writes for three times the limit, then it stalls too."""
    engine, glasses = FakeEngine(paused=True), Hourglasses()
    engine.starved_seed = 2

    async with connect(engine, pause=glasses.pause) as lm:
        writer = aiter(lm.GenerateCodes(codes(duration_seconds=3 * PROGRESS_TOKENS / 5)))
        waiter = asyncio.create_task(error_of(lm.GenerateCodes(codes(seed=2))))
        await glasses.running(2)
        for limit in (1, 2, 3):
            engine.allow(PROGRESS_TOKENS)
            while (await anext(writer)).progress.token_count < limit * PROGRESS_TOKENS:
                pass
            still_watched = 2 if limit < 3 else 1
            await glasses.run_out(still_watched)
            await glasses.running(still_watched)
        assert not waiter.done()
        await all_of(writer)
        await glasses.run_out(1)
        _, error = await waiter

    assert error.reason == "STALLED"
