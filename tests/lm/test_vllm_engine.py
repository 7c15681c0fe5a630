"""The real engine: vLLM in float32, over a tiny checkpoint and a KV cache too small for the batch.

One engine for the whole module, closed completely at its end.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from acestep.lm.v1.lm_service_pb2_grpc import LmServiceStub
from bench.lm_load import IN_FLIGHT, Load, Observed, Referee, leaks
from bench.lm_mix import calls
from common.errors import AceError
from lm_service import prompt, vllm_environment
from lm_service.admission import Admission, Room
from lm_service.engine import Job, Model
from lm_service.metadata import Metadata
from lm_service.outline import Phase
from lm_service.prompt import PromptLayout
from lm_service.sampling import Sampling
from lm_service.settings import Device, Settings
from lm_service.song import Composition, Description, Jobs, Plan, Wish
from model_store.tiny import LANGUAGE_MODEL, build
from tests.lm import reference
from tests.lm.stand import listening, service

if TYPE_CHECKING:
    from lm_service.vllm_engine import VllmEngine

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
    ),
]

MAX_MODEL_LEN = 512
BLOCK = 32
BLOCKS = 40
"""Room for one guided request of full length (32 blocks) and little more: batches are preempted."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    build(folder)
    return folder


@pytest.fixture(scope="module")
async def engine(models: Path) -> AsyncIterator[VllmEngine]:
    # As the service does: vLLM reads its environment when it is imported.
    vllm_environment.prepare(cpu_threads=1)
    vllm_engine = importlib.import_module("lm_service.vllm_engine")
    settings = Settings(models=models, max_model_len=MAX_MODEL_LEN, max_rows=16)
    # Prompts are read in chunks of at most 64 tokens.
    engine: VllmEngine = await vllm_engine.VllmEngine.load(
        settings, block_size=BLOCK, num_gpu_blocks_override=BLOCKS, max_num_batched_tokens=64
    )
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def network(models: Path) -> reference.Network:
    return reference.load(models / LANGUAGE_MODEL)


def batch(model: Model, *, temperature: float, seed: int = 0) -> list[Job]:
    """Twelve requests of all modes, guided and not, with every kind of sampling."""
    jobs = Jobs(model, max_text_tokens=150, layout=PromptLayout.OPEN_TURN)
    made = []
    for place in range(12):
        sampling = Sampling(
            temperature=temperature,
            top_k=(0, 20)[place % 2],
            top_p=(0.9, 1.0, 0.5)[place % 3],
            repetition_penalty=(1.0, 1.3)[place // 2 % 2],
            seed=100 * seed + place,
        )
        wish = Wish(sampling=sampling)
        caption, lyrics = f"calm piano {place}", "la la la " * (3 * place)
        if place % 3 == 0:
            plan = Plan(
                caption=caption, lyrics=lyrics, fixed=Metadata(), with_caption=place > 0, with_language=True
            )
            made.append(jobs.plan(plan, wish))
        elif place == 11:
            text = Description(prompt=prompt.understand([1, 2, 3]), fixed=Metadata(), field="audio_codes")
            made.append(jobs.describe(text, wish))
        else:
            song = Composition(
                caption=caption,
                lyrics=lyrics,
                metadata=Metadata(bpm=90 + place, caption=caption, duration_s=60.0),
                code_count=None if place == 8 else 90 + 9 * place,
                scale=(1.0, 1.5, 2.0, 3.0)[place % 4],
                negative_prompt="noise" if place % 2 else "",
            )
            job = jobs.codes(song, wish)
            made.append(replace(job, max_tokens=min(job.max_tokens, 190)))
    return made


async def run(engine: VllmEngine, job: Job) -> list[int]:
    return [token async for tokens in engine.generate(job) for token in tokens]


@pytest.mark.parametrize("temperature", [0.0, 0.9])
async def test_a_batch_writes_what_each_request_writes_in_the_explicit_loop(
    engine: VllmEngine, network: reference.Network, temperature: float
) -> None:
    jobs = batch(engine.model, temperature=temperature, seed=int(10 * temperature))
    preempted = engine.preemption_count()

    together = await asyncio.gather(*[run(engine, job) for job in jobs])

    expected = [reference.written(network, engine.model.grammar, job) for job in jobs]
    assert together == expected
    assert engine.preemption_count() > preempted, "the cache was meant to be too small"
    assert sum(job.row_count == 2 for job in jobs) >= 5
    print(  # noqa: T201  (shown with -s: how much was compared)
        f"{sum(map(len, expected))} tokens, {engine.preemption_count() - preempted} preemptions"
    )


async def test_alone_as_in_a_batch_and_again_from_the_prefix_cache(engine: VllmEngine) -> None:
    jobs = batch(engine.model, temperature=0.9, seed=3)
    together = await asyncio.gather(*[run(engine, job) for job in jobs])

    alone = [await run(engine, job) for job in jobs]

    assert alone == together


async def test_a_request_that_cannot_run_fails_alone(engine: VllmEngine) -> None:
    """Such jobs are never made by the service: this is what stands behind its checks."""
    fine = replace(batch(engine.model, temperature=0.9)[2], max_tokens=5)
    long = tuple([7] * (MAX_MODEL_LEN + 1))
    impossible = [
        replace(fine, prompt=long),
        replace(fine, task=replace(fine.task, unconditional=long)),
        replace(fine, prompt=(7,)),
        replace(fine, prompt=()),
        replace(fine, max_tokens=MAX_MODEL_LEN),
    ]
    assert fine.row_count == 2
    expected = await run(engine, fine)

    beside = [asyncio.create_task(run(engine, fine)) for _ in range(3)]
    for job in impossible:
        with pytest.raises(AceError) as caught:
            await run(engine, job)
        assert caught.value.reason == "ENGINE_REFUSED"

    assert await asyncio.gather(*beside) == [expected] * 3
    assert await run(engine, fine) == expected
    assert engine.unfinished_count() == 0


async def test_the_engine_tells_the_masks_that_it_served(engine: VllmEngine) -> None:
    async def counted() -> int:
        (counts,) = await engine._llm.collective_rpc("mask_counts")
        return int(counts["codes"])

    before = await counted()
    tokens = await run(engine, replace(batch(engine.model, temperature=0.9)[2], max_tokens=5))

    # A row whose prompt is read in chunks is given one too, and what it draws is dropped.
    assert 0 <= await counted() - before - len(tokens) <= 3


async def test_guidance_changes_what_is_written(engine: VllmEngine) -> None:
    guided = batch(engine.model, temperature=0.0)[2]
    assert guided.row_count == 2

    unguided = replace(guided, task=replace(guided.task, unconditional=()))

    assert await run(engine, guided) != await run(engine, unguided)


async def test_a_request_that_is_left_frees_both_rows_at_once(engine: VllmEngine) -> None:
    jobs = [job for job in batch(engine.model, temperature=0.9) if job.row_count == 2]
    for job in jobs:
        stream = engine.generate(job)
        assert await anext(stream)
        await stream.aclose()
    assert engine.unfinished_count() == 0

    # The scheduler reports when requests come or go: a lone short request sees what the others left behind.
    (single,) = [job for job in batch(engine.model, temperature=0.9)[:1]]
    await run(engine, replace(single, max_tokens=3))

    assert engine.stats.running_rows <= 1
    assert engine.stats.kv_cache_usage <= (len(single.prompt) // BLOCK + 1) / (BLOCKS - 1)


async def test_a_song_that_is_left_alone_is_out_of_the_batch_and_its_figures_in_no_time(
    engine: VllmEngine,
) -> None:
    song = next(job for job in batch(engine.model, temperature=0.9) if job.row_count == 2)
    stream = engine.generate(song)
    assert await anext(stream)
    assert await anext(stream)
    assert engine.running_row_count() == 2
    await stream.aclose()

    async with asyncio.timeout(0.5):
        while engine.running_row_count() or engine.cache_used_ratio():
            await asyncio.sleep(0.005)


async def test_tokens_come_together_but_for_the_first(engine: VllmEngine) -> None:
    jobs = batch(engine.model, temperature=0.9)

    async def sizes(job: Job) -> list[int]:
        return [len(tokens) async for tokens in engine.generate(job)]

    for job in jobs[:2]:
        found = await sizes(replace(job, max_tokens=50))

        assert found[0] == 1
        assert len(found) <= 1 + sum(found) / 2, "steps of a tiny model are not a tenth of a second long"


async def test_requests_that_come_and_go_do_not_disturb_the_others(
    engine: VllmEngine, network: reference.Network
) -> None:
    jobs = batch(engine.model, temperature=0.9, seed=5)

    async def left_early(job: Job) -> None:
        stream = engine.generate(job)
        await anext(stream)
        await stream.aclose()

    leavers = asyncio.gather(
        *[left_early(job) for job in batch(engine.model, temperature=0.9, seed=6)[1:9]]
    )
    together = await asyncio.gather(*[run(engine, job) for job in jobs[:6]])
    await leavers

    assert together == [reference.written(network, engine.model.grammar, job) for job in jobs[:6]]
    assert engine.unfinished_count() == 0


async def test_another_device_or_another_vllm_is_refused(engine: VllmEngine, models: Path) -> None:
    with pytest.raises(ValueError, match="device is cuda, but"):
        await type(engine).load(Settings(models=models, device=Device.CUDA))
    compatibility = importlib.import_module("lm_service.guidance.compatibility")
    compatibility.check("0.32.0+cpu")
    with pytest.raises(RuntimeError, match=r"vLLM 0\.33\.0 is installed"):
        compatibility.check("0.33.0")


async def test_codes_stay_in_the_code_book_that_the_codec_config_tells(engine: VllmEngine) -> None:
    window = engine.model.grammar.window
    assert engine.model.code_count == 1000
    assert len([mark for mark in engine.model.vocabulary.marks if "audio_code" in mark]) > 1000

    jobs = [job for job in batch(engine.model, temperature=2.0) if job.task.outline.phase is Phase.CODES]
    written = await asyncio.gather(*[run(engine, replace(job, max_tokens=40)) for job in jobs])

    end = engine.model.vocabulary.end_of_turn
    assert all(window.first <= token < window.stop or token == end for codes in written for token in codes)


async def test_a_load_that_comes_and_goes_leaves_right_tokens_and_nothing_behind(
    engine: VllmEngine, network: reference.Network
) -> None:
    """Some seconds of `bench.lm_soak`: 64 calls in flight through a real server, three of ten left."""

    async def expected(job: Job) -> list[int]:
        return await asyncio.to_thread(reference.written, network, engine.model.grammar, job)

    referee, preempted = Referee(expected), engine.preemption_count()
    admission = Admission(Room(24, 4 * engine.cache_token_count), max_queued=IN_FLIGHT)
    loaded = service(Observed(engine, referee), admission, max_text_tokens=60)
    idle = replace(batch(engine.model, temperature=0.9)[0], max_tokens=4)

    async with listening(loaded) as address, grpc.aio.insecure_channel(address) as channel:
        load = Load(LmServiceStub(channel), calls(20, seed=3), seed=4)
        await load.run(seconds=12)
        held = await leaks(engine, admission, idle)
    await referee.decided()

    assert held == referee.differing == []
    assert load.outcomes.keys() == {"ended", "cancelled", "expired"}
    assert referee.compared.total() >= load.outcomes["ended"] > referee.job_count > 5
    assert engine.preemption_count() > preempted
