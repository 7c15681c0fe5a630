"""Each field of `GenerationParams`: what it changes. docs/inference_api.md names these tests."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from acestep.inference import GenerationConfig, GenerationParams
from acestep.music.v1 import music_pb2
from tests.client.conftest import Studio
from tests.gateway.conftest import opened_world
from tests.gateway.fakes import FakeDit

SONG = GenerationParams(caption="slow piano", lyrics="[Verse]\nla", duration=10, shift=3.0)
CODES = "<|audio_code_5|><|audio_code_7|>" * 25


def of(**changes: Any) -> GenerationParams:
    return replace(SONG, **changes)


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.sin(np.arange(48_000) / 20), 48_000)
    return path


async def ok(studio: Studio, params: GenerationParams, config: GenerationConfig | None = None) -> Any:
    result = await studio.generate(params, config)
    assert result.success, result.error
    return result


@pytest.mark.parametrize("task", ["cover", "repaint", "lego", "extract", "complete"])
async def test_task_type_decides_what_is_done_to_a_source(studio: Studio, tone: Path, task: str) -> None:
    await ok(studio, of(task_type=task, src_audio=str(tone), instruction="Generate the guitar track:"))

    assert music_pb2.Task.Name(studio.job.task) == f"TASK_{task.upper()}"


async def test_an_unknown_task_type_is_refused(studio: Studio) -> None:
    result = await studio.generate(of(task_type="remix"))

    assert not result.success
    assert "task_type must be one of text2music, cover, repaint" in str(result.error)


async def test_instruction_reaches_the_diffusion_and_names_its_tracks(studio: Studio, tone: Path) -> None:
    await ok(
        studio,
        of(
            task_type="complete",
            src_audio=str(tone),
            instruction="Complete the input track with drums, backing vocals:",
        ),
    )

    assert studio.job.instruction == "Complete the input track with drums, backing vocals:"
    assert list(studio.job.tracks) == [music_pb2.TRACK_DRUMS, music_pb2.TRACK_BACKING_VOCALS]


async def test_the_default_instruction_leaves_each_task_its_own(studio: Studio, tone: Path) -> None:
    await ok(studio, of(task_type="repaint", src_audio=str(tone)))

    assert not studio.job.HasField("instruction")


async def test_an_instruction_without_a_track_is_refused_where_one_is_needed(
    studio: Studio, tone: Path
) -> None:
    result = await studio.generate(of(task_type="lego", src_audio=str(tone)))

    assert "instruction must name a track: vocals" in str(result.error)


async def test_reference_audio_is_uploaded_whole(studio: Studio, tone: Path) -> None:
    await ok(studio, of(reference_audio=str(tone)))

    assert studio.world.dit.reference_bytes == tone.stat().st_size


async def test_src_audio_is_uploaded_whole_and_decides_the_length(studio: Studio, tone: Path) -> None:
    result = await ok(studio, of(task_type="cover", src_audio=str(tone), duration=99))

    assert studio.world.dit.source_bytes == tone.stat().st_size
    assert result.audios[0]["tensor"].shape == (2, 480_000)
    assert "duration is not used: the song is as long as src_audio" in result.status_message


async def test_src_audio_that_is_missing_is_named(studio: Studio, tmp_path: Path) -> None:
    result = await studio.generate(of(task_type="cover", src_audio=str(tmp_path / "no.wav")))

    assert str(tmp_path / "no.wav") in str(result.error)


async def test_src_audio_is_not_used_by_text2music_and_a_note_says_so(studio: Studio, tone: Path) -> None:
    result = await ok(studio, of(src_audio=str(tone)))

    assert studio.world.dit.source_bytes == 0
    assert "src_audio is not used: text2music has no use for it" in result.status_message


async def test_audio_codes_are_followed_instead_of_written(studio: Studio) -> None:
    result = await ok(studio, of(audio_codes=CODES + "..."))

    assert list(studio.job.audio_codes) == [5, 7] * 25
    assert result.audios[0]["params"]["audio_codes"] == CODES
    assert [type(each).__name__ for each in studio.world.lm.requests] == ["PlanRequest"]


async def test_audio_codes_without_a_single_code_are_refused(studio: Studio) -> None:
    result = await studio.generate(of(audio_codes="5, 7"))

    assert "audio_codes must hold marks such as <|audio_code_123|>" in str(result.error)


async def test_caption_and_lyrics_reach_both_models(studio: Studio) -> None:
    await ok(studio, of(use_cot_caption=False))

    assert (studio.asked("PlanRequest").caption, studio.job.metadata.caption) == ("slow piano",) * 2
    assert (studio.asked("PlanRequest").lyrics, studio.job.lyrics) == ("[Verse]\nla",) * 2


async def test_instrumental_overrides_the_lyrics(studio: Studio) -> None:
    await ok(studio, of(instrumental=True))

    assert studio.job.lyrics == studio.asked("PlanRequest").lyrics == "[Instrumental]"
    assert studio.job.metadata.language == "unknown"


async def test_vocal_language_reaches_both_models_and_wins_over_the_plan(studio: Studio) -> None:
    await ok(studio, of(vocal_language="bn"))

    assert (studio.asked("PlanRequest").fixed.language, studio.job.metadata.language) == ("bn", "bn")


async def test_an_unknown_vocal_language_is_planned(studio: Studio) -> None:
    await ok(studio, SONG)

    assert studio.job.metadata.language == "en"


@pytest.mark.parametrize(("name", "value"), [("bpm", 93), ("keyscale", "Eb minor"), ("timesignature", "6")])
async def test_metadata_that_is_given_is_kept_by_the_plan_and_by_the_diffusion(
    studio: Studio, name: str, value: Any
) -> None:
    await ok(studio, of(**{name: value}))

    assert getattr(studio.asked("PlanRequest").fixed, name) == value
    assert getattr(studio.job.metadata, name) == value


@pytest.mark.parametrize(
    ("name", "nothing", "planned"),
    [("bpm", None, 120), ("bpm", 0, 120), ("keyscale", "", "F# minor"), ("keyscale", " n/a ", "F# minor"),
     ("timesignature", "N/A", "4"), ("duration", -1.0, 60.0), ("duration", None, 60.0)],
)  # fmt: skip
async def test_metadata_that_is_not_given_is_planned(
    studio: Studio, name: str, nothing: Any, planned: Any
) -> None:
    await ok(studio, of(**{name: nothing, "thinking": False}))

    field = "duration_seconds" if name == "duration" else name
    assert getattr(studio.job.metadata, field) == planned


async def test_duration_is_the_length_of_the_song(studio: Studio) -> None:
    result = await ok(studio, of(duration=12.0))

    assert result.audios[0]["tensor"].shape == (2, 12 * 48_000)


@pytest.mark.parametrize(
    ("name", "value"),
    [("inference_steps", 5), ("cfg_interval_start", 0.1), ("cfg_interval_end", 0.9), ("shift", 2.5)],
)
async def test_a_parameter_of_the_diffusion_reaches_it(studio: Studio, name: str, value: Any) -> None:
    await ok(studio, of(**{name: value}))

    assert getattr(studio.job.diffusion, name) == value


@pytest.mark.parametrize(("name", "value"), [("guidance_scale", 5.0), ("use_adg", True)])
async def test_guidance_reaches_a_base_model(tmp_path: Path, name: str, value: Any) -> None:
    base = FakeDit()
    base.is_turbo = False
    async with opened_world(tmp_path, dit=base) as world:
        studio = Studio(world)
        await studio.connect()

        await ok(studio, of(**{name: value}))

    assert getattr(studio.job.diffusion, name) == value


@pytest.mark.parametrize(("name", "value"), [("guidance_scale", 5.0), ("use_adg", True)])
async def test_guidance_is_not_used_by_a_turbo_model_and_a_note_says_so(
    studio: Studio, name: str, value: Any
) -> None:
    result = await ok(studio, of(**{name: value}))

    assert (studio.job.diffusion.guidance_scale, studio.job.diffusion.use_adg) == (1.0, False)
    assert f"{name} is not used: dit-fake is a turbo model" in result.status_message


async def test_the_default_shift_is_sent_as_given_with_a_note_on_turbo(studio: Studio) -> None:
    result = await ok(studio, of(shift=GenerationParams.shift))

    assert studio.job.diffusion.shift == 1.0
    assert "shift is 1.0, as given; 3.0 is right for dit-fake" in result.status_message


async def test_infer_method_chooses_the_sampler(studio: Studio) -> None:
    await ok(studio, of(infer_method="sde"))

    assert studio.job.diffusion.infer_method == music_pb2.INFER_METHOD_SDE


async def test_timesteps_are_the_times_that_are_visited(studio: Studio) -> None:
    await ok(studio, of(timesteps=[0.97, 0.5, 0]))

    assert list(studio.job.diffusion.timesteps) == [0.97, 0.5, 0.0]


@pytest.mark.parametrize(("end", "region"), [(6.0, (4.0, 6.0)), (-1, (4.0, None))])
async def test_repainting_start_and_end_are_the_region_made_anew(
    studio: Studio, tone: Path, end: float, region: tuple[float, float | None]
) -> None:
    await ok(studio, of(task_type="repaint", src_audio=str(tone), repainting_start=4.0, repainting_end=end))

    (sent,) = studio.job.repaint.regions
    assert (sent.start_seconds, sent.end_seconds if sent.HasField("end_seconds") else None) == region


async def test_a_region_is_not_used_by_a_cover_and_a_note_says_so(studio: Studio, tone: Path) -> None:
    result = await ok(studio, of(task_type="cover", src_audio=str(tone), repainting_start=4.0))

    assert not studio.job.HasField("repaint")
    assert "repainting_start is not used: cover" in result.status_message


async def test_audio_cover_strength_says_how_long_a_source_leads(studio: Studio, tone: Path) -> None:
    await ok(studio, of(task_type="cover", src_audio=str(tone), audio_cover_strength=0.4))

    assert studio.job.cover.audio_cover_strength == 0.4


async def test_thinking_has_the_language_model_write_codes(studio: Studio) -> None:
    await ok(studio, SONG)
    with_codes = list(studio.job.audio_codes)
    await ok(studio, of(thinking=False))

    assert len(with_codes) == 50
    assert not studio.job.audio_codes


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("lm_temperature", 0.3, lambda codes: codes.sampling.temperature),
        ("lm_cfg_scale", 2.5, lambda codes: codes.cfg_scale),
        ("lm_top_k", 40, lambda codes: codes.sampling.top_k),
        ("lm_top_p", 0.5, lambda codes: codes.sampling.top_p),
        ("lm_negative_prompt", "noise", lambda codes: codes.negative_prompt),
        ("use_constrained_decoding", False, lambda codes: codes.sampling.use_constrained_decoding),
    ],
)
async def test_a_parameter_of_the_language_model_reaches_it(
    studio: Studio, name: str, value: Any, read: Callable[[Any], Any]
) -> None:
    await ok(studio, SONG)
    default = read(studio.asked("GenerateCodesRequest"))
    await ok(studio, of(**{name: value}))

    assert read(studio.asked("GenerateCodesRequest")) == value != default
    assert default == getattr(GenerationParams, name)


@pytest.mark.parametrize("off", [1.0, 1.5, 0])
async def test_lm_top_p_from_one_on_filters_nothing(studio: Studio, off: float) -> None:
    await ok(studio, of(lm_top_p=off))

    assert studio.asked("PlanRequest").sampling.top_p == 1.0


async def test_without_use_cot_metas_nothing_is_planned_and_the_song_is_made_all_the_same(
    studio: Studio,
) -> None:
    result = await ok(studio, of(use_cot_metas=False))

    assert [type(each).__name__ for each in studio.world.lm.requests] == ["GenerateCodesRequest"]
    assert result.extra_outputs["lm_metadata"] is None


async def test_use_cot_caption_gives_the_diffusion_the_planned_caption(studio: Studio) -> None:
    await ok(studio, SONG)
    planned = studio.job.metadata.caption
    await ok(studio, of(use_cot_caption=False))

    assert (planned, studio.job.metadata.caption) == ("LM caption.", "slow piano")


async def test_use_cot_lyrics_is_not_offered_and_a_note_says_so(studio: Studio) -> None:
    result = await ok(studio, of(use_cot_lyrics=True))

    assert "use_cot_lyrics has no effect" in result.status_message


async def test_use_cot_language_gives_the_diffusion_the_planned_language(studio: Studio) -> None:
    await ok(studio, SONG)
    planned = studio.job.metadata.language
    await ok(studio, of(use_cot_language=False))

    assert (planned, studio.job.metadata.language) == ("en", "unknown")


async def test_seed_makes_a_song_again(studio: Studio) -> None:
    config = GenerationConfig(batch_size=1, use_random_seed=False)
    first, again = await ok(studio, of(seed=7), config), await ok(studio, of(seed=7), config)
    other = await ok(studio, of(seed=8), config)

    assert np.array_equal(first.audios[0]["tensor"], again.audios[0]["tensor"])
    assert not np.array_equal(first.audios[0]["tensor"], other.audios[0]["tensor"])
    assert first.audios[0]["params"]["seed"] == studio.asked("GenerateCodesRequest").sampling.seed - 1 == 7


async def test_cot_fields_tell_what_the_language_model_decided(studio: Studio) -> None:
    params = of(duration=-1, thinking=False)

    result = await ok(studio, params)

    told = {name: value for name, value in params.to_dict().items() if name.startswith("cot_")}
    assert told == {
        "cot_bpm": 120,
        "cot_keyscale": "F# minor",
        "cot_timesignature": "4",
        "cot_duration": 60.0,
        "cot_vocal_language": "en",
        "cot_caption": "LM caption.",
        "cot_lyrics": "",
    }
    assert result.audios[0]["params"]["cot_bpm"] == 120


async def test_cot_fields_stay_empty_where_the_caller_decided(studio: Studio) -> None:
    params = of(bpm=91, keyscale="C major", vocal_language="ja")

    await ok(studio, params)

    assert (params.cot_bpm, params.cot_keyscale, params.cot_vocal_language) == (None, "", "unknown")
    assert params.cot_timesignature == "4"
