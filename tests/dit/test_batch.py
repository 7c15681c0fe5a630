"""Songs that share the device: each is what it would be alone, whatever becomes of the others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch
from prometheus_client import REGISTRY
from torch import nn

from common.errors import AceError, Kind
from dit_service import memory
from dit_service.canvas import Region
from dit_service.engine import (
    InferMethod,
    Keeping,
    Phase,
    Progress,
    RenderJob,
    Song,
    SourceSound,
    Task,
)
from dit_service.lane import Lane, Waiting
from dit_service.network.transformer import Row
from dit_service.torch_engine import TorchEngine
from tests.dit.golden import CHECKPOINTS, MODELS, TOLERANCE, wave
from tests.dit.jobs import JOB, TURBO_DIFFUSION

BASE = MODELS["base"]
GUIDED = replace(TURBO_DIFFUSION, inference_steps=6, guidance_scale=5.0, shift=1.0)
SOURCE = SourceSound(wave(330_000, kind=0))

TEXT = replace(JOB, model=BASE, diffusion=GUIDED)
COVER = replace(
    JOB,
    model=BASE,
    task=Task.COVER,
    audio_codes=tuple(range(42)),
    audio_cover_strength=0.5,
    seed=8,
    diffusion=replace(GUIDED, inference_steps=9, guidance_scale=1.0, infer_method=InferMethod.SDE),
)
REPAINT = replace(
    JOB,
    model=BASE,
    task=Task.REPAINT,
    source=SOURCE,
    regions=(Region(1.0, 3.0),),
    keeping=Keeping(0.5, 12, False, 0),
    seed=9,
    diffusion=replace(GUIDED, use_adg=True, cfg_interval_start=0.3, shift=2.0),
)
EXTRACT = replace(
    JOB,
    model=BASE,
    task=Task.EXTRACT,
    source=SOURCE,
    tracks=("drums",),
    seed=10,
    diffusion=replace(GUIDED, inference_steps=4, guidance_scale=3.0),
)
FOUR = (TEXT, COVER, REPAINT, EXTRACT)


@pytest.fixture(scope="module")
def engine() -> TorchEngine:
    return TorchEngine.load(CHECKPOINTS, (BASE,), "cpu")


@pytest.fixture(scope="module")
def alone(engine: TorchEngine) -> dict[int, Song]:
    """Each of the four rendered with the device for itself, by seed."""
    with torch.inference_mode():
        songs = {job.seed: list(engine.render(job))[-1] for job in FOUR}
    return {seed: song for seed, song in songs.items() if isinstance(song, Song)}


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane(max_queued=8, max_together=4)
    with closing(lane):
        yield lane


async def rendered(lane: Lane, engine: TorchEngine, job: RenderJob) -> Song:
    async with lane.run(engine.render(job), engine.share(job)) as events:
        *_, song = [event async for event in events]
    assert isinstance(song, Song)
    return song


async def until_step(events: AsyncIterator[object], step: int, phase: Phase = Phase.DIFFUSION) -> None:
    async for event in events:
        if isinstance(event, Progress) and event.phase is phase and event.step_count == step:
            return


def batches() -> tuple[float, float]:
    """How many steps of batches were done, and for how many songs."""
    names = ("acestep_dit_batch_size_count", "acestep_dit_batch_size_sum")
    count, total = (REGISTRY.get_sample_value(name) or 0.0 for name in names)
    return count, total


def assert_same(song: Song, alone: Song) -> None:
    np.testing.assert_allclose(song.latents, alone.latents, atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(song.waveform, alone.waveform, atol=TOLERANCE, rtol=0)


async def test_a_song_is_the_same_alone_and_among_others_of_any_kind(
    engine: TorchEngine, lane: Lane, alone: dict[int, Song]
) -> None:
    before = batches()

    songs = await asyncio.gather(*(rendered(lane, engine, job) for job in FOUR))

    steps, shared = (now - then for now, then in zip(batches(), before, strict=True))
    assert shared == 6 + 9 + 6 + 4
    assert steps < shared / 2, "the songs went on one by one"
    assert len({len(song.latents) for song in songs}) > 2
    for job, song in zip(FOUR, songs, strict=True):
        assert_same(song, alone[job.seed])


async def test_songs_join_and_leave_between_steps(
    engine: TorchEngine, lane: Lane, alone: dict[int, Song]
) -> None:
    async with lane.run(engine.render(COVER)) as events:
        await until_step(events, 2)
        late = await rendered(lane, engine, EXTRACT)  # comes, and is done before the other
        *_, song = [event async for event in events]

    assert isinstance(song, Song)
    assert_same(late, alone[EXTRACT.seed])
    assert_same(song, alone[COVER.seed])


async def test_a_cancelled_song_leaves_the_others_untouched(
    engine: TorchEngine, lane: Lane, alone: dict[int, Song]
) -> None:
    async def cancelled(phase: Phase, step: int) -> None:
        long = replace(TEXT, duration_s=30.0, diffusion=replace(GUIDED, inference_steps=3))  # two tiles
        async with lane.run(engine.render(long)) as events:
            await until_step(events, step, phase)

    songs = await asyncio.gather(
        rendered(lane, engine, COVER),
        cancelled(Phase.DIFFUSION, 2),
        rendered(lane, engine, REPAINT),
        cancelled(Phase.DECODING, 1),
    )

    assert isinstance(songs[0], Song)
    assert isinstance(songs[2], Song)
    assert_same(songs[0], alone[COVER.seed])
    assert_same(songs[2], alone[REPAINT.seed])


TOO_LONG = replace(TEXT, duration_s=12.0, lyrics="la la la " * 40, seed=11)


def takes_pass(_: nn.Module, rows: tuple[list[Row]]) -> bool:
    return any(len(row.frames) == TOO_LONG.frame_count for row in rows[0])


def takes_lyrics(_: nn.Module, rows: tuple[torch.Tensor]) -> bool:
    return len(rows[0]) > 100


def takes_tile(_: nn.Module, window: tuple[torch.Tensor]) -> bool:
    return window[0].shape[2] == TOO_LONG.frame_count


@pytest.mark.parametrize("phase", Phase)
async def test_a_song_that_memory_does_not_do_for_leaves_the_others_untouched(
    engine: TorchEngine, lane: Lane, alone: dict[int, Song], phase: Phase
) -> None:
    def exhausted_if(taken: bool) -> None:
        if taken:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    networks: dict[Phase, tuple[nn.Module, Callable[..., bool]]] = {
        Phase.CONDITIONING: (engine._models[BASE].networks.conditioner.lyric_encoder, takes_lyrics),
        Phase.DIFFUSION: (engine.transformer(BASE), takes_pass),
        Phase.DECODING: (engine.codec.network.decoder, takes_tile),
    }
    network, takes = networks[phase]
    hook = network.register_forward_pre_hook(lambda *given: exhausted_if(takes(*given)))
    try:
        *songs, error = await asyncio.gather(
            rendered(lane, engine, COVER),
            rendered(lane, engine, EXTRACT),
            rendered(lane, engine, TOO_LONG),
            return_exceptions=True,
        )
    finally:
        hook.remove()

    assert isinstance(error, AceError)
    assert (error.kind, error.reason) == (Kind.OVERLOADED, "OUT_OF_MEMORY")
    assert error.retry_after_s is not None
    for job, song in zip((COVER, EXTRACT), songs, strict=True):
        assert isinstance(song, Song)
        assert_same(song, alone[job.seed])


async def test_songs_wait_for_memory_in_the_order_they_came(engine: TorchEngine, lane: Lane) -> None:
    async def first_events(share: float) -> tuple[asyncio.Task[None], list[object]]:
        heard: list[object] = []
        there = asyncio.Event()

        async def follow() -> None:
            async with lane.run(engine.render(EXTRACT), share) as events:
                async for event in events:
                    heard.append(event)
                    there.set()

        task = asyncio.create_task(follow())
        await there.wait()
        return task, heard

    large, _ = await first_events(0.7)
    second, second_heard = await first_events(0.5)
    small, small_heard = await first_events(0.1)  # would fit, but is not first in line

    assert isinstance(second_heard[0], Waiting)
    assert small_heard[0] == Waiting(1, None)
    await asyncio.gather(large, second, small)


def test_a_song_larger_than_the_memory_is_refused_for_good(engine: TorchEngine) -> None:
    needed = memory.song_bytes(TEXT, engine.transformer(BASE).sizes, element_bytes=4)

    assert memory.share(needed, 2 * needed) == 0.5
    with pytest.raises(AceError) as caught:
        memory.share(needed, needed - 1)
    assert (caught.value.kind, caught.value.reason) == (Kind.PRECONDITION, "SONG_TOO_LARGE")
    assert caught.value.retry_after_s is None


def test_a_longer_or_guided_song_takes_more_memory(engine: TorchEngine) -> None:
    sizes = engine.transformer(BASE).sizes

    def needed(job: RenderJob) -> int:
        return memory.song_bytes(job, sizes, element_bytes=2)

    assert needed(replace(TEXT, duration_s=60.0)) > 5 * needed(TEXT)
    assert needed(TEXT) > needed(replace(TEXT, diffusion=TURBO_DIFFUSION))
    assert needed(replace(TEXT, lyrics="la " * 500)) > needed(TEXT)
