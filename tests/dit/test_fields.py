"""What `DitService` refuses, and the words it does it in."""

import math
import time

import pytest

from acestep.dit.v1 import dit_service_pb2 as pb
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from dit_service import orders, wire
from dit_service.engine import InferMethod
from tests.dit.fakes import BASE, TURBO

MODELS = (TURBO, BASE)
NAN = math.nan
Params = music_pb2.DiffusionParams
Metadata = music_pb2.SongMetadata


def job(**fields: object) -> pb.RenderJob:
    return pb.RenderJob(**fields)  # type: ignore[arg-type]


def base(**diffusion: object) -> pb.RenderJob:
    return job(model="acestep-v15-base", diffusion=Params(**diffusion))  # type: ignore[arg-type]


def turbo(**diffusion: object) -> pb.RenderJob:
    return job(diffusion=Params(**diffusion))  # type: ignore[arg-type]


def refusal(message: pb.RenderJob) -> AceError:
    with pytest.raises(AceError) as caught:
        orders.render_order(message, MODELS, latent_channels=8)
    return caught.value


BAD = {
    "job.task": [job(task=99)],
    "job.instruction": [job(instruction="x" * 513)],
    "job.metadata.caption": [job(metadata=Metadata(caption="x" * 513))],
    "job.metadata.bpm": [job(metadata=Metadata(bpm=29)), job(metadata=Metadata(bpm=301))],
    "job.metadata.duration_seconds": [
        job(metadata=Metadata(duration_seconds=seconds)) for seconds in (0, 9.99, 600.1, NAN, math.inf)
    ],
    "job.metadata.keyscale": [job(metadata=Metadata(keyscale=key)) for key in ("", "H major", "C dorian")],
    "job.metadata.language": [job(metadata=Metadata(language=name)) for name in ("", "klingon", "EN")],
    "job.metadata.timesignature": [job(metadata=Metadata(timesignature="5"))],
    "job.lyrics": [job(lyrics="x" * 4097)],
    "job.audio_codes": [job(audio_codes=[1] * 3001)],
    "job.audio_codes[1]": [job(audio_codes=[0, 64_000]), job(audio_codes=[0, -1])],
    "job.seed": [job(seed=-1)],
    "job.cover.audio_cover_strength": [
        job(audio_codes=[1], cover=music_pb2.CoverParams(audio_cover_strength=value))
        for value in (-0.1, 1.1, NAN)
    ]
    + [job(cover=music_pb2.CoverParams(audio_cover_strength=0.5))],
    "job.tracks": [job(tracks=[0]), job(tracks=[99]), job(tracks=[1])],
    "job.repaint.regions": [job(repaint=music_pb2.RepaintParams(regions=[music_pb2.Region()]))],
    "job.has_source_audio": [job(has_source_audio=True)],
    "job.source_latents": [job(source_latents=music_pb2.Latents())],
    "job.finish.normalization_db": [job(finish=pb.Finish(normalization_db=db)) for db in (-61, 0.1, NAN)],
    "job.finish.fade_in_seconds": [job(finish=pb.Finish(fade_in_seconds=s)) for s in (-1, 61, NAN)],
    "job.finish.fade_out_seconds": [job(finish=pb.Finish(fade_out_seconds=s)) for s in (-1, 61, NAN)],
    "job.diffusion.inference_steps": [
        turbo(inference_steps=0),
        turbo(inference_steps=21),
        base(inference_steps=201),
    ],
    "job.diffusion.guidance_scale": [
        turbo(guidance_scale=7),
        turbo(guidance_scale=NAN),
        base(guidance_scale=0.9),
        base(guidance_scale=15.1),
        base(guidance_scale=NAN),
    ],
    "job.diffusion.use_adg": [turbo(use_adg=True)],
    "job.diffusion.cfg_interval_start": [
        base(cfg_interval_start=-0.1),
        base(cfg_interval_start=NAN),
        base(cfg_interval_start=0.6, cfg_interval_end=0.5),
    ],
    "job.diffusion.cfg_interval_end": [base(cfg_interval_end=1.1), base(cfg_interval_end=NAN)],
    "job.diffusion.shift": [turbo(shift=value) for value in (0, 0.9, 5.1, NAN)],
    "job.diffusion.infer_method": [turbo(infer_method=99)],
    "job.diffusion.sampler_mode": [
        turbo(sampler_mode=99),
        turbo(sampler_mode=music_pb2.SAMPLER_MODE_HEUN, infer_method=music_pb2.INFER_METHOD_SDE),
    ],
    "job.diffusion.velocity_norm_threshold": [
        turbo(velocity_norm_threshold=value) for value in (-0.1, 10.1, NAN)
    ],
    "job.diffusion.velocity_ema_factor": [turbo(velocity_ema_factor=value) for value in (-0.1, 1.1, NAN)],
    "job.diffusion.dcw_mode": [
        turbo(dcw_enabled=True, dcw_mode=99),
        turbo(dcw_mode=music_pb2.DCW_MODE_LOW),
    ],
    "job.diffusion.dcw_scaler": [turbo(dcw_enabled=True, dcw_scaler=value) for value in (-0.1, 1.1, NAN)]
    + [turbo(dcw_scaler=0.1)],
    "job.diffusion.dcw_high_scaler": [
        turbo(dcw_enabled=True, dcw_high_scaler=2),
        turbo(dcw_enabled=True, dcw_mode=music_pb2.DCW_MODE_LOW, dcw_high_scaler=0.1),
    ],
    "job.diffusion.retake_variance": [
        turbo(retake_seed=1, retake_variance=value) for value in (-0.1, 1.1, NAN)
    ],
    "job.diffusion.retake_seed": [
        turbo(retake_variance=0.5),
        turbo(retake_seed=1),
        turbo(retake_seed=-1, retake_variance=0.5),
    ],
    "job.cover.cover_noise_strength": [
        job(
            task=music_pb2.TASK_COVER,
            has_source_audio=True,
            cover=music_pb2.CoverParams(cover_noise_strength=value),
        )
        for value in (-0.1, 1.1, NAN)
    ]
    + [
        job(cover=music_pb2.CoverParams(cover_noise_strength=0.5)),
        job(audio_codes=[1], cover=music_pb2.CoverParams(cover_noise_strength=0.5)),
    ],
    "job.diffusion.timesteps": [
        turbo(timesteps=times)
        for times in (
            [0.5, 0.5],
            [0.5, 0.6],
            [1.1, 0.5],
            [0.5, -0.1],
            [NAN],
            [1.0, math.inf],
            [0.0],
            [1 - i / 21 for i in range(21)],
        )
    ]
    + [base(timesteps=[1 - i / 201 for i in range(201)])],
}


@pytest.mark.parametrize(
    ("field", "message"), [(field, message) for field, messages in BAD.items() for message in messages]
)
def test_a_bad_field_is_named(field: str, message: pb.RenderJob) -> None:
    error = refusal(message)

    assert error.kind is Kind.INVALID
    assert error.violations[0].field == field


def test_all_bad_fields_are_told_at_once() -> None:
    error = refusal(job(lyrics="x" * 5000, seed=-1, diffusion=Params(shift=9)))

    assert {violation.field for violation in error.violations} == {
        "job.lyrics",
        "job.seed",
        "job.diffusion.shift",
    }


COUNT = 1_000_000
LONG = {
    "job.tracks": lambda: base_job(music_pb2.TASK_COMPLETE, tracks=[music_pb2.TRACK_DRUMS] * COUNT),
    "job.audio_codes": lambda: job(audio_codes=[5] * COUNT),
    "job.diffusion.timesteps": lambda: turbo(timesteps=[1 - step / COUNT for step in range(COUNT)]),
    "job.repaint.regions": lambda: base_job(
        music_pb2.TASK_REPAINT,
        repaint=music_pb2.RepaintParams(regions=[music_pb2.Region(start_seconds=1)] * COUNT),
    ),
}


def base_job(task: music_pb2.Task, **fields: object) -> pb.RenderJob:
    return job(model="acestep-v15-base", task=task, has_source_audio=True, **fields)


@pytest.mark.parametrize("field", LONG)
def test_a_list_of_millions_is_refused_before_it_is_read(field: str) -> None:
    message = LONG[field]()

    began = time.process_time()
    error = refusal(message)

    assert time.process_time() - began < 0.1  # all songs of the service wait
    assert [violation.field for violation in error.violations] == [field]


def test_a_bad_caption_is_not_quoted() -> None:
    assert "secret" not in str(refusal(job(metadata=Metadata(caption="secret" * 100))))


def test_a_model_that_is_not_loaded_is_told_from_those_that_are() -> None:
    error = refusal(job(model="acestep-v15-sft"))

    assert (error.kind, error.reason) == (Kind.NOT_FOUND, "MODEL_NOT_LOADED")
    assert "acestep-v15-turbo, acestep-v15-base" in error.message


@pytest.mark.parametrize("task", [music_pb2.TASK_LEGO, music_pb2.TASK_EXTRACT, music_pb2.TASK_COMPLETE])
def test_turbo_models_send_track_tasks_to_models_that_can(task: music_pb2.Task) -> None:
    error = refusal(job(task=task, has_source_audio=True, tracks=[music_pb2.TRACK_DRUMS]))

    assert error.kind is Kind.PRECONDITION
    assert "acestep-v15-base" in error.message


@pytest.mark.parametrize("task", [0, music_pb2.TASK_TEXT2MUSIC, music_pb2.TASK_COVER])
def test_codes_are_followed_with_or_without_naming_the_task(task: music_pb2.Task) -> None:
    order = orders.render_order(job(task=task, audio_codes=range(60)), MODELS, latent_channels=8)

    assert order.job.audio_codes == tuple(range(60))
    assert order.job.frame_count == 300
    assert order.job.duration_s == 12.0  # what the prompt says, since nothing else is known


@pytest.mark.parametrize(
    ("model", "steps", "guidance", "shift"), [("", 8, 1.0, 3.0), ("acestep-v15-base", 50, 7.0, 1.0)]
)
def test_absent_parameters_get_the_models_own(
    model: str, steps: int, guidance: float, shift: float
) -> None:
    order = orders.render_order(job(model=model), MODELS, latent_channels=8)

    used = order.job.diffusion
    assert (used.inference_steps, used.guidance_scale, used.shift) == (steps, guidance, shift)
    assert wire.diffusion(used) == wire.model(order.card).defaults
    assert order.job.duration_s == 120.0
    assert order.job.language == "unknown"
    assert "120 s" in order.warnings[0]


def test_metadata_are_normalised() -> None:
    metadata = Metadata(keyscale="f#m", timesignature="6/8", bpm=90, language="ja", duration_seconds=20)

    made = orders.render_order(job(metadata=metadata), MODELS, latent_channels=8).job

    assert (made.keyscale, made.timesignature, made.bpm, made.language) == ("F# minor", "6", 90, "ja")


def test_turbo_says_which_times_it_takes_and_takes_them_again() -> None:
    order = orders.render_order(turbo(timesteps=[0.97, 0.76, 0.5, 0]), MODELS, latent_channels=8)
    echoed = wire.diffusion(order.job.diffusion)

    assert list(echoed.timesteps) == pytest.approx([0.95454545, 0.76923077, 0.5, 0])
    assert echoed.inference_steps == 3
    assert "moved" in order.warnings[0]
    again = orders.render_order(job(diffusion=echoed), MODELS, latent_channels=8)
    assert again.job.diffusion == order.job.diffusion
    assert not any("moved" in warning for warning in again.warnings)


@pytest.mark.parametrize(
    "asked",
    [
        Params(sampler_mode=music_pb2.SAMPLER_MODE_HEUN),
        Params(velocity_norm_threshold=2.0, velocity_ema_factor=0.1),
        Params(dcw_enabled=True),
        Params(dcw_enabled=True, dcw_mode=music_pb2.DCW_MODE_LOW, dcw_scaler=0.1),
        Params(dcw_enabled=True, dcw_mode=music_pb2.DCW_MODE_PIX),
        Params(retake_seed=3, retake_variance=0.25),
    ],
    ids=str,
)
def test_how_steps_are_made_is_told_and_taken_again(asked: music_pb2.DiffusionParams) -> None:
    order = orders.render_order(job(diffusion=asked), MODELS, latent_channels=8)
    echoed = wire.diffusion(order.job.diffusion)
    again = orders.render_order(job(diffusion=echoed), MODELS, latent_channels=8)

    assert order.job.diffusion != orders.render_order(job(), MODELS, latent_channels=8).job.diffusion
    assert again.job.diffusion == order.job.diffusion
    assert all(getattr(echoed, field.name) == value for field, value in asked.ListFields())


def test_other_models_take_times_as_they_are() -> None:
    order = orders.render_order(base(timesteps=[1.0, 0.3], infer_method=2), MODELS, latent_channels=8)

    assert order.job.diffusion.timesteps == (1.0, 0.3, 0.0)
    assert order.job.diffusion.infer_method is InferMethod.SDE


@pytest.mark.parametrize(
    ("duration_s", "frames"), [(10.0, 250), (10.25, 254), (10.29, 257), (119.96, 3000), (600.0, 15_000)]
)
def test_lengths_are_rounded_to_tenths_and_cut_to_frames(duration_s: float, frames: int) -> None:
    order = orders.render_order(
        job(metadata=Metadata(duration_seconds=duration_s)), MODELS, latent_channels=8
    )

    assert order.job.frame_count == frames
