"""The real engine on the golden checkpoints, from words to sound."""

from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest
import torch

from common.errors import AceError, Kind
from dit_service import prompt
from dit_service.engine import Diffusion, Encoding, InferMethod, Phase, Progress, RenderJob, Song
from dit_service.networks import load_dit
from dit_service.text_encoder import TextEncoder
from dit_service.torch_engine import TorchEngine, prepared
from dit_service.vae import Vae
from tests.dit.golden import CHECKPOINTS, MODELS, Case, assert_close, case, wave

SONGS = ["handler_t2m_turbo", "handler_t2m_base", "handler_codes_turbo", "handler_t2m_reference_turbo"]
TURBO = MODELS["turbo"]
TURBO_DIFFUSION = Diffusion(
    inference_steps=8,
    guidance_scale=1.0,
    use_adg=False,
    cfg_interval_start=0.0,
    cfg_interval_end=1.0,
    shift=3.0,
    infer_method=InferMethod.ODE,
)
JOB = RenderJob(
    model=TURBO,
    instruction=None,
    caption="slow piano",
    lyrics="[Instrumental]",
    language="unknown",
    bpm=None,
    keyscale=None,
    timesignature=None,
    duration_s=6.0,
    audio_codes=(),
    audio_cover_strength=1.0,
    seed=7,
    diffusion=TURBO_DIFFUSION,
)


@pytest.fixture(scope="module")
def engine() -> TorchEngine:
    return TorchEngine.load(CHECKPOINTS, tuple(MODELS.values()), "cpu")


def finished(events: Generator[Progress | Song, None, None]) -> tuple[list[Progress], Song]:
    *steps, song = events
    assert isinstance(song, Song)
    return [step for step in steps if isinstance(step, Progress)], song


def job_of(golden: Case) -> RenderJob:
    call = golden.facts["call"]
    reference = wave(192_123, kind=1) if "reference_audio" in call else None
    codes = tuple(
        int(part.strip("|<>")) for part in call.get("audio_code_string", "").split("audio_code_")[1:]
    )
    return replace(
        JOB,
        model=golden.model,
        caption=call["captions"],
        lyrics=call["lyrics"],
        language=call.get("vocal_language", "en"),
        bpm=call.get("bpm"),
        keyscale=call.get("key_scale"),
        timesignature=call.get("time_signature"),
        duration_s=call["audio_duration"],
        audio_codes=codes,
        reference=reference,
        seed=int(golden.facts["seed_value"].split(",")[0]),
        diffusion=replace(
            TURBO_DIFFUSION,
            inference_steps=call.get("inference_steps", 8),
            guidance_scale=call.get("guidance_scale", 1.0),
            shift=call["shift"],
        ),
    )


@pytest.mark.parametrize("name", SONGS)
def test_a_song_sounds_as_the_reference_made_it(engine: TorchEngine, name: str) -> None:
    golden = case(name)

    _, song = finished(engine.render(job_of(golden)))

    assert_close(torch.from_numpy(song.latents)[None], golden["out.pred_latents"])
    for window, start in enumerate(golden.facts["wav_window_starts"]):
        part = torch.from_numpy(song.waveform[start : start + 2048]).T[None]
        assert_close(part, golden["out.wav_windows"][window], 1e-5)


@pytest.mark.parametrize("name", SONGS)
def test_the_prompts_are_those_of_the_reference(name: str) -> None:
    golden = case(name)
    job = job_of(golden)

    text = prompt.text(job, prompt.instruction(job))

    assert f"{text}\n\n{prompt.lyrics(job)}" == golden.facts["text_inputs"][0]


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


def test_the_seed_decides_the_song(engine: TorchEngine) -> None:
    sde = replace(JOB, diffusion=replace(TURBO_DIFFUSION, infer_method=InferMethod.SDE))

    for job in (JOB, sde):
        first = finished(engine.render(job))[1].waveform
        np.testing.assert_array_equal(finished(engine.render(job))[1].waveform, first)
        assert not np.allclose(finished(engine.render(replace(job, seed=8)))[1].waveform, first, atol=1e-3)


def test_codes_guide_only_for_their_share_of_the_steps(engine: TorchEngine) -> None:
    led = replace(JOB, audio_codes=tuple(range(30)))

    free = finished(engine.render(JOB))[1].latents
    never = finished(engine.render(replace(led, audio_cover_strength=0.0)))[1].latents
    half = finished(engine.render(replace(led, audio_cover_strength=0.5)))[1].latents

    np.testing.assert_allclose(never, free, atol=2e-5)
    assert not np.allclose(half, free, atol=1e-3)


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
