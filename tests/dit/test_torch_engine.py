"""The real engine on the golden checkpoints, from words to sound."""

from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest
import torch

from common.errors import AceError, Kind
from dit_service.canvas import Region
from dit_service.due import Due
from dit_service.engine import (
    Encoding,
    InferMethod,
    Keeping,
    Latents,
    Phase,
    Piece,
    Progress,
    Retake,
    SamplerMode,
    Song,
    SourceLatents,
    SourceSound,
    Task,
    WaveletCorrection,
)
from dit_service.networks import load_dit
from dit_service.text_encoder import TextEncoder
from dit_service.torch_engine import TorchEngine, prepared
from dit_service.vae import Vae
from tests.dit.golden import CHECKPOINTS, MODELS, assert_close, case, wave
from tests.dit.jobs import JOB, TURBO, TURBO_DIFFUSION, job_of

SOURCE = wave(288_000, kind=0)
WHOLE = (Region(0.0, None),)


@pytest.fixture(scope="module")
def engine() -> TorchEngine:
    return TorchEngine.load(CHECKPOINTS, tuple(MODELS.values()), "cpu")


def finished(events: Generator[Progress | Piece | Due | Song, None, None]) -> tuple[list[Progress], Song]:
    *steps, song = events
    assert isinstance(song, Song)
    return [step for step in steps if isinstance(step, Progress)], song


def test_a_short_song_is_cut_from_the_shortest_that_the_model_knows(engine: TorchEngine) -> None:
    golden = case("handler_t2m_short_turbo")

    _, song = finished(engine.render(job_of(golden)))

    assert song.latents.shape == (50, 8)
    assert_close(torch.from_numpy(song.latents), golden["out.pred_latents"][0, :50])
    assert song.waveform.shape == (50 * 1920, 2)


def test_progress_counts_real_steps_of_each_phase(engine: TorchEngine) -> None:
    steps, song = finished(engine.render(replace(JOB, duration_s=24.0)))

    assert steps == [
        Progress(Phase.CONDITIONING, 1, 1),
        *(Progress(Phase.DIFFUSION, done, 8) for done in range(1, 9)),
        *(Progress(Phase.DECODING, done, 2) for done in (1, 2)),
    ]
    assert set(song.seconds) == set(Phase)


def test_the_song_is_handed_out_while_it_is_decoded(engine: TorchEngine) -> None:
    *events, song = engine.render(replace(JOB, duration_s=40.0))

    assert isinstance(song, Song)
    decoding = events[-2 * len(engine.codec.decode_tiles(1000)) :]
    pieces, steps = decoding[0::2], decoding[1::2]
    assert steps == [Progress(Phase.DECODING, done, 3) for done in (1, 2, 3)]
    at = 0
    for piece in pieces:
        assert isinstance(piece, Piece)
        assert piece.first_sample == at
        assert np.shares_memory(piece.waveform, song.waveform), "a song must not be in memory twice"
        at += len(piece.waveform)
    assert at == len(song.waveform)


def test_nothing_is_decoded_for_a_caller_who_left_between_two_tiles(engine: TorchEngine) -> None:
    frames = np.random.default_rng(1).normal(size=(1000, 8)).astype(np.float32)
    decoder, calls = engine.codec.network.decoder, []
    handle = decoder.register_forward_hook(lambda *_: calls.append(1))
    steps = engine.decode(frames, TURBO)

    next(steps)
    steps.close()

    handle.remove()
    assert len(engine.codec.decode_tiles(1000)) == 3
    assert len(calls) == 1


def test_the_seed_decides_the_song(engine: TorchEngine) -> None:
    sde = replace(JOB, diffusion=replace(TURBO_DIFFUSION, infer_method=InferMethod.SDE))

    for job in (JOB, sde):
        first = finished(engine.render(job))[1].waveform
        np.testing.assert_array_equal(finished(engine.render(job))[1].waveform, first)
        assert not np.allclose(finished(engine.render(replace(job, seed=8)))[1].waveform, first, atol=1e-3)


def test_codes_guide_only_for_their_share_of_the_steps(engine: TorchEngine) -> None:
    led = replace(JOB, task=Task.COVER, audio_codes=tuple(range(30)))

    free = finished(engine.render(JOB))[1].latents
    never = finished(engine.render(replace(led, audio_cover_strength=0.0)))[1].latents
    half = finished(engine.render(replace(led, audio_cover_strength=0.5)))[1].latents

    np.testing.assert_allclose(never, free, atol=2e-5)
    assert not np.allclose(half, free, atol=1e-3)


def test_a_source_guides_a_cover_only_for_its_share_of_the_steps(engine: TorchEngine) -> None:
    led = replace(JOB, task=Task.COVER, source=SourceSound(SOURCE))

    free, never, half, all_the_way = (
        finished(engine.render(job))[1].latents
        for job in (JOB, *(replace(led, audio_cover_strength=share) for share in (0.0, 0.5, 1.0)))
    )

    np.testing.assert_allclose(never, free, atol=2e-5)
    assert not np.allclose(half, free, atol=1e-3)
    assert not np.allclose(half, all_the_way, atol=1e-3)


def test_a_retake_lies_between_the_songs_of_two_seeds(engine: TorchEngine) -> None:
    def retaken(variance: float) -> Latents:
        diffusion = replace(TURBO_DIFFUSION, retake=Retake(seed=99, variance=variance))
        return finished(engine.render(replace(JOB, diffusion=diffusion)))[1].latents

    own = finished(engine.render(JOB))[1].latents
    other = finished(engine.render(replace(JOB, seed=99)))[1].latents

    np.testing.assert_allclose(retaken(0.0), own, atol=2e-5)
    np.testing.assert_allclose(retaken(1.0), other, atol=2e-5)
    assert np.abs(retaken(0.1) - own).mean() < np.abs(other - own).mean() / 2


def test_the_nearer_a_cover_begins_the_nearer_it_stays_to_its_source(engine: TorchEngine) -> None:
    *_, encoding = engine.encode(SOURCE, TURBO, with_codes=False)
    assert isinstance(encoding, Encoding)
    cover = replace(JOB, task=Task.COVER, source=SourceLatents(encoding.latents))

    runs = [
        finished(engine.render(replace(cover, cover_noise_strength=strength)))
        for strength in (0.0, 0.4, 0.7)
    ]

    steps = [[step for step in progress if step.phase is Phase.DIFFUSION] for progress, _ in runs]
    assert [len(taken) for taken in steps] == [8, 3, 1]  # from the times 1, 0.64 and 0.3 on
    assert all(taken[-1].ends_phase for taken in steps)
    distances = [np.abs(song.latents - encoding.latents[:150]).mean() for _, song in runs]
    assert distances == sorted(distances, reverse=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"sampler_mode": SamplerMode.HEUN},
        {"velocity_norm_threshold": 0.5},
        {"velocity_ema_factor": 0.3},
        {"correction": WaveletCorrection()},
    ],
    ids=str,
)
def test_how_steps_are_made_is_heard_and_repeats(engine: TorchEngine, changes: dict[str, object]) -> None:
    job = replace(JOB, diffusion=replace(TURBO_DIFFUSION, **changes))  # type: ignore[arg-type]

    plain, first, again = (finished(engine.render(each))[1].latents for each in (JOB, job, job))

    assert np.abs(first - plain).max() > 1e-3
    np.testing.assert_array_equal(again, first)


def test_latents_of_a_source_do_what_its_sound_does(engine: TorchEngine) -> None:
    *_, encoding = engine.encode(SOURCE, TURBO, with_codes=False)
    assert isinstance(encoding, Encoding)
    job = replace(JOB, task=Task.REPAINT, regions=(Region(1.0, 2.0),), keeping=Keeping(0.5, 12, False, 0))

    heard = finished(engine.render(replace(job, source=SourceSound(SOURCE))))[1].latents
    given = finished(engine.render(replace(job, source=SourceLatents(encoding.latents))))[1].latents

    np.testing.assert_allclose(given, heard, atol=1e-6)
    kept = np.r_[0 : 25 - 12, 50 + 12 : 150]
    np.testing.assert_allclose(given[kept], encoding.latents[kept], atol=1e-6)
    assert not np.allclose(given[25:50], encoding.latents[25:50], atol=1e-2)


def test_latents_are_extended_with_silence_where_regions_reach_beyond_them(engine: TorchEngine) -> None:
    *_, encoding = engine.encode(SOURCE, TURBO, with_codes=False)
    assert isinstance(encoding, Encoding)
    regions = (Region(-1.0, 0.0), Region(6.0, 8.0))
    job = replace(JOB, task=Task.REPAINT, regions=regions, keeping=Keeping(1.0, 25, False, 0))

    song = finished(engine.render(replace(job, source=SourceLatents(encoding.latents))))[1]

    assert song.latents.shape == (225, 8)
    np.testing.assert_allclose(song.latents[50:150], encoding.latents[25:125], atol=1e-6)


def test_every_tile_of_a_source_is_progress(engine: TorchEngine) -> None:
    long = SourceSound(wave(31 * 48_000, kind=0))

    steps, _ = finished(engine.render(replace(JOB, task=Task.REPAINT, regions=WHOLE, source=long)))

    assert steps[:3] == [Progress(Phase.CONDITIONING, done, 3) for done in (1, 2, 3)]


@pytest.mark.parametrize("samples", [1, 1919, 30_001])
def test_a_source_may_be_shorter_than_what_the_model_knows(engine: TorchEngine, samples: int) -> None:
    for task in (Task.COVER, Task.REPAINT):
        job = replace(JOB, task=task, regions=WHOLE[: task is Task.REPAINT])

        song = finished(engine.render(replace(job, source=SourceSound(SOURCE[-samples:]))))[1]

        assert len(song.waveform) == max(1, samples // 1920) * 1920


def test_what_the_model_cannot_read_is_told(engine: TorchEngine) -> None:
    assert engine.cuts(JOB) == ()

    (told,) = engine.cuts(replace(JOB, lyrics="日本語の歌" * 800))

    assert "of the lyrics are not read" in told


def test_sound_goes_to_codes_and_latents_and_back(engine: TorchEngine) -> None:
    golden = case("audio_to_codes_96001")

    *_, encoding = engine.encode(wave(96_001, kind=0), TURBO, with_codes=True)

    assert isinstance(encoding, Encoding)
    assert list(encoding.codes) == golden["out.codes"].tolist()
    assert encoding.latents.shape == (50, 8)
    assert finished(engine.decode(encoding.latents, TURBO))[1].waveform.shape == (96_000, 2)
    assert finished(engine.decode(encoding.codes, TURBO))[1].waveform.shape == (96_000, 2)


def test_sound_shorter_than_a_frame_is_filled_up(engine: TorchEngine) -> None:
    *_, encoding = engine.encode(wave(500, kind=0), TURBO, with_codes=True)

    assert isinstance(encoding, Encoding)
    assert len(encoding.latents) == 1
    assert len(encoding.codes) == 1


class Exhausted(torch.nn.Module):
    """A codec on a device without room, until `room` says otherwise."""

    def __init__(self, decoder: torch.nn.Module) -> None:
        super().__init__()
        self.inner = decoder
        self.room = False

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        if not self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        sound: torch.Tensor = self.inner(latents)
        return sound


def test_running_out_of_memory_is_told_and_survived() -> None:
    engine = TorchEngine.load(CHECKPOINTS, (TURBO,), "cpu")
    codec = engine.codec.network
    codec.decoder = Exhausted(codec.decoder)

    with pytest.raises(AceError) as caught:
        finished(engine.render(JOB))

    assert (caught.value.kind, caught.value.reason) == (Kind.OVERLOADED, "OUT_OF_MEMORY")
    assert caught.value.__context__ is None, "the old error would keep its tensors alive"
    codec.decoder.room = True
    assert finished(engine.render(JOB))[1].waveform.shape == (6 * 48_000, 2)


@pytest.mark.parametrize(
    ("broken", "reason"), [(float("nan"), "LATENTS_NOT_FINITE"), (0.0, "LATENTS_ZERO")]
)
def test_latents_that_are_no_music_are_not_decoded(engine: TorchEngine, broken: float, reason: str) -> None:
    latents = np.full((50, 8), broken, np.float32)

    with pytest.raises(AceError) as caught:
        finished(engine.decode(latents, TURBO))

    assert (caught.value.kind, caught.value.reason) == (Kind.INTERNAL, reason)


def test_bfloat16_networks_keep_float32_latents(vae: Vae, text_encoder: TextEncoder) -> None:
    networks = load_dit(CHECKPOINTS / TURBO, torch.device("cpu"), torch.bfloat16)
    engine = TorchEngine({TURBO: prepared(networks)}, text_encoder, vae, torch.device("cpu"))
    golden = case("handler_codes_turbo")

    _, song = finished(engine.render(job_of(golden)))

    error = torch.from_numpy(song.latents) - golden["out.pred_latents"][0]
    assert song.latents.dtype == np.float32
    assert 1e-4 < error.abs().mean() < 0.05  # bfloat16 was used, and did little harm
