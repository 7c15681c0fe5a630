"""What `generate_music` returns, key by key. docs/inference_api.md names these tests."""

import asyncio
import json
import logging
import sys
import uuid
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from acestep.inference import GenerationConfig, GenerationParams, GenerationResult
from acestep.upstream import tensors
from acestep.upstream.outcome import key_of
from common.errors import AceError, Kind
from tests.client.conftest import Studio
from tests.client.test_config import config
from tests.client.test_params import SONG, of, ok


async def test_audios_hold_what_upstream_promises(studio: Studio) -> None:
    (audio,) = (await ok(studio, SONG)).audios

    assert list(audio) == ["path", "tensor", "key", "sample_rate", "params", "silent"]


async def test_path_is_the_file_under_its_key(studio: Studio, tmp_path: Path) -> None:
    result = await studio.generate(SONG, save_dir=str(tmp_path / "new" / "folder"))

    (audio,) = result.audios
    assert audio["path"] == str(tmp_path / "new" / "folder" / f"{audio['key']}.flac")
    assert Path(audio["path"]).read_bytes().startswith(b"fLaC")


async def test_path_is_empty_without_a_folder(studio: Studio) -> None:
    assert (await ok(studio, SONG)).audios[0]["path"] == ""


async def test_a_folder_that_cannot_be_made_is_named_before_any_work(
    studio: Studio, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    result = await studio.generate(SONG, save_dir=str(tmp_path / "file"))

    assert str(tmp_path / "file") in str(result.error)
    assert not studio.world.lm.requests


async def test_tensor_is_channels_by_samples_in_float32_on_the_cpu(studio: Studio) -> None:
    (audio,) = (await ok(studio, SONG)).audios

    assert isinstance(audio["tensor"], torch.Tensor)
    assert (audio["tensor"].shape, audio["tensor"].dtype) == ((2, 480_000), torch.float32)
    assert audio["tensor"].device.type == "cpu"
    assert 0 < audio["tensor"].abs().max() <= 1


async def test_tensor_is_an_array_where_there_is_no_torch(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    tensors._torch.cache_clear()

    (audio,) = (await ok(studio, SONG)).audios

    tensors._torch.cache_clear()
    assert isinstance(audio["tensor"], np.ndarray)
    assert (audio["tensor"].shape, audio["tensor"].dtype) == ((2, 480_000), np.float32)


async def test_key_is_a_digest_of_the_params(studio: Studio) -> None:
    (audio,) = (await ok(studio, SONG)).audios
    (other,) = (await ok(studio, SONG)).audios

    assert audio["key"] == key_of(audio["params"]) == str(uuid.UUID(audio["key"]))
    assert other["key"] != audio["key"]  # the seed is another


def test_key_of_known_params_is_upstreams() -> None:
    """sha256 of `{"caption": "é", "seed": 1}`, as 8-4-4-4-12 digits."""
    assert key_of({"seed": 1, "caption": "é"}) == "dec42946-10c6-43c6-1463-13a823afaeee"


async def test_params_make_the_song_again(studio: Studio) -> None:
    (audio,) = (await ok(studio, SONG)).audios
    names = {field.name for field in fields(GenerationParams)}

    again = await ok(studio, GenerationParams(**audio["params"]), config())

    assert set(audio["params"]) == names
    assert np.array_equal(again.audios[0]["tensor"], audio["tensor"])
    assert json.dumps(audio["params"])


async def test_params_hold_the_codes_that_the_song_follows(studio: Studio) -> None:
    (audio,) = (await ok(studio, SONG)).audios

    codes = audio["params"]["audio_codes"].removeprefix("<|audio_code_").removesuffix("|>")
    assert [int(code) for code in codes.split("|><|audio_code_")] == list(studio.job.audio_codes)


async def test_sample_rate_is_48_khz(studio: Studio) -> None:
    assert (await ok(studio, SONG)).audios[0]["sample_rate"] == 48_000


async def test_status_message_ends_with_how_it_went(studio: Studio) -> None:
    lines = (await ok(studio, SONG)).status_message.splitlines()

    assert lines == [
        "Note: the song gets the length of its codes",  # of the stage, and said once
        "LM: phase1_time: 1.50s, phase2_time: 1.50s",
        "Generation completed successfully!",
    ]


async def test_lm_metadata_is_what_the_language_model_wrote(studio: Studio) -> None:
    outputs = (await ok(studio, of(bpm=93))).extra_outputs

    assert outputs["lm_metadata"] == {
        "bpm": 93,
        "caption": "LM caption.",
        "duration": 10,
        "keyscale": "F# minor",
        "language": "en",
        "timesignature": "4",
    }


async def test_time_costs_have_upstreams_keys(studio: Studio) -> None:
    times = (await ok(studio, SONG)).extra_outputs["time_costs"]

    measured = ("wall_time", "encoding_time")
    assert {name: round(value, 6) for name, value in times.items() if name not in measured} == {
        "lm_phase1_time": 1.5,
        "lm_phase2_time": 1.5,
        "lm_total_time": 3.0,
        "dit_encoder_time_cost": 0.1,
        "dit_diffusion_time_cost": 0.8,
        "dit_diffusion_per_step_time_cost": 0.1,
        "dit_vae_decode_time_cost": 0.3,
        "dit_offload_time_cost": 0.0,
        "dit_total_time_cost": 1.2,
        "pipeline_total_time": 4.2,
    }  # fmt: skip
    assert times["wall_time"] > 0


async def test_time_costs_of_a_language_model_that_was_not_asked_are_absent(studio: Studio) -> None:
    times = (await ok(studio, of(thinking=False, use_cot_metas=False))).extra_outputs["time_costs"]

    assert "lm_total_time" not in times
    assert times["pipeline_total_time"] == pytest.approx(1.2)


async def test_latents_are_a_tensor_of_the_batch(studio: Studio) -> None:
    outputs = (await ok(studio, SONG, config(batch_size=2))).extra_outputs

    assert outputs["latents"].shape == (2, 250, 4)


async def test_seed_value_lists_the_seeds(studio: Studio) -> None:
    result = await ok(studio, SONG, config(batch_size=2, seeds=[5, 6]))

    assert result.extra_outputs["seed_value"] == "5,6"


async def test_to_dict_of_a_result_holds_every_field(studio: Studio) -> None:
    result = await ok(studio, SONG)

    assert list(result.to_dict()) == [field.name for field in fields(GenerationResult)]
    assert result.to_dict()["audios"][0]["key"] == result.audios[0]["key"]


async def test_a_failure_is_a_result_and_its_fields_have_upstreams_names(studio: Studio) -> None:
    result = await studio.generate(of(bpm=10, inference_steps=50, lm_temperature=9.0, duration=3))

    assert (result.success, result.audios) == (False, [])
    assert result.error == (
        "bpm must be within [30, 300]; received 10;"
        " duration must be within [10, 600]; received 3;"
        " lm_temperature must be within [0, 2]; received 9;"
        " inference_steps must be within [1, 20]; received 50"
    )
    assert result.status_message == f"Error: {result.error}"


@pytest.mark.parametrize(
    ("name", "value"),
    [("bpm", "fast"), ("inference_steps", "many"), ("shift", None), ("timesteps", ["x"]), ("caption", 5),
     ("repainting_start", "x"), ("lm_top_k", "x"), ("infer_method", "heun")],
)  # fmt: skip
async def test_a_value_of_another_type_is_refused_by_its_name(
    studio: Studio, name: str, value: Any
) -> None:
    source = str(Path(__file__)) if name == "repainting_start" else None
    result = await studio.generate(
        of(**{"task_type": "repaint" if source else "text2music", "src_audio": source} | {name: value})
    )

    assert not result.success
    assert name in str(result.error)


async def test_a_song_that_fails_does_not_take_the_others_with_it(studio: Studio) -> None:
    studio.world.dit.failures[6] = AceError(Kind.INTERNAL, "NAN", "the song is not a number")

    result = await ok(studio, SONG, config(batch_size=2, seeds=[5, 6]))

    assert [audio["params"]["seed"] for audio in result.audios] == [5]
    assert len(result.extra_outputs["failures"]) == 1
    assert result.extra_outputs["failures"][0].startswith("song 2 of 2 failed: ")
    assert result.extra_outputs["failures"][0] in result.status_message


async def test_progress_is_called_as_upstream_calls_it(studio: Studio) -> None:
    calls: list[tuple[float, str]] = []

    result = await studio.generate(SONG, progress=lambda share, desc: calls.append((share, desc)))

    assert result.success
    texts = list(dict.fromkeys(text for _, text in calls))
    assert [text for text in texts if "ahead" not in text] == [
        "Phase 1: Generating CoT metadata (once for all items)...",
        "Phase 2: Generating audio codes for 1 items...",
        "Generating music (batch size: 1)...",
        "Preparing audio data...",
    ]
    shares = [share for share, _ in calls]
    assert shares == sorted(shares)
    assert {0.1, 0.79, 0.99} <= set(shares)
    assert len([text for _, text in calls if text.startswith("Generating music")]) == 8


async def test_a_progress_callback_that_raises_ends_the_work_and_is_told(studio: Studio) -> None:
    def stop(share: float, desc: str) -> None:
        raise ValueError("stop it")

    result = await studio.generate(SONG, progress=stop)

    assert (result.success, result.error) == (False, "stop it")


async def test_what_nobody_foresaw_is_a_result_too_and_is_logged(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    broken: Any = object()

    with caplog.at_level(logging.ERROR, "acestep"):
        result = await studio.generate(broken)

    assert not result.success
    assert "'object' object has no attribute" in str(result.error)
    assert "unforeseen failure" in caplog.text


async def test_songs_of_several_threads_are_made_side_by_side(studio: Studio) -> None:
    results = await asyncio.gather(
        *(
            studio.generate(SONG, GenerationConfig(1, use_random_seed=False, seeds=[seed]))
            for seed in range(4)
        )
    )

    assert [each.extra_outputs["seed_value"] for each in results] == ["0", "1", "2", "3"]


async def test_silent_tells_that_nothing_is_to_be_heard(studio: Studio) -> None:
    heard = await ok(studio, SONG)
    studio.world.dit.silent = True
    unheard = await ok(studio, SONG)

    assert [result.audios[0]["silent"] for result in (heard, unheard)] == [False, True]
    assert "Silent output detected: song 1" in unheard.status_message


async def test_request_id_is_what_the_services_log(studio: Studio) -> None:
    outputs = (await ok(studio, SONG)).extra_outputs

    assert {outputs["request_id"]} == {*studio.world.dit.request_ids, *studio.world.lm.request_ids}


async def test_warnings_are_the_notes_one_by_one(studio: Studio) -> None:
    warnings = (await ok(studio, of(use_adg=True, repainting_start=3))).extra_outputs["warnings"]

    assert [warning.partition(" ")[0] for warning in warnings] == ["repainting_start", "use_adg", "the"]
