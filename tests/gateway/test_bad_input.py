"""Every bad field is refused with its name, rule and value, and the next request works."""

import math
from pathlib import Path
from typing import Any

import grpc
import pytest

from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from tests.dit.fakes import FakeEngine
from tests.gateway.conftest import World
from tests.gateway.test_generate import song_request, songs_of
from tests.gateway.whole import GRAMMAR, whole
from tests.lm.fakes import FakeEngine as FakeLmEngine

NAN = math.nan
Diffusion, Lm, Sampling = music_pb2.DiffusionParams, pb.LmParams, music_pb2.LmSampling
Batch, Output = pb.BatchParams, pb.OutputParams

BAD_FIELDS = [
    ({"caption": "x" * 513}, "caption", "513 characters"),
    ({"lyrics": "x" * 4097}, "lyrics", "4097 characters"),
    ({"instruction": "x" * 513}, "instruction", "513 characters"),
    ({"request_id": "a b"}, "request_id", "3 characters"),
    ({"bpm": 29}, "bpm", "29"),
    ({"bpm": 301}, "bpm", "301"),
    ({"duration_seconds": 9.9}, "duration_seconds", "9.9"),
    ({"duration_seconds": 600.5}, "duration_seconds", "600.5"),
    ({"duration_seconds": NAN}, "duration_seconds", "nan"),
    ({"duration_seconds": -1.0}, "duration_seconds", "-1"),
    ({"keyscale": "H major"}, "keyscale", "'H major'"),
    ({"timesignature": "5"}, "timesignature", "'5'"),
    ({"vocal_language": "klingon"}, "vocal_language", "'klingon'"),
    ({"task": 99}, "task", "99"),
    ({"source_audio_id": "0" * 32}, "source_audio_id", "an id"),
    ({"source_audio_id": "0" * 32, "task": music_pb2.TASK_COVER}, "duration_seconds", "10.0"),
    ({"audio_codes": [0, 1000]}, "audio_codes[1]", "1000"),
    ({"audio_codes": [-1]}, "audio_codes[0]", "-1"),
    ({"audio_codes": [1] * 3001}, "audio_codes", "3001 codes"),
    ({"diffusion": Diffusion(inference_steps=21)}, "diffusion.inference_steps", "21"),
    ({"lm": Lm(cfg_scale=0.5)}, "lm.cfg_scale", "0.5"),
    ({"lm": Lm(cfg_scale=3.5)}, "lm.cfg_scale", "3.5"),
    ({"lm": Lm(cfg_scale=NAN)}, "lm.cfg_scale", "nan"),
    ({"lm": Lm(sampling=Sampling(temperature=NAN))}, "lm.sampling.temperature", "nan"),
    ({"lm": Lm(sampling=Sampling(temperature=2.5))}, "lm.sampling.temperature", "2.5"),
    ({"lm": Lm(sampling=Sampling(top_k=-1))}, "lm.sampling.top_k", "-1"),
    ({"lm": Lm(sampling=Sampling(top_p=0.0))}, "lm.sampling.top_p", "0"),
    ({"lm": Lm(sampling=Sampling(top_p=NAN))}, "lm.sampling.top_p", "nan"),
    ({"lm": Lm(sampling=Sampling(repetition_penalty=3.0))}, "lm.sampling.repetition_penalty", "3"),
    ({"lm": Lm(sampling=Sampling(seed=1))}, "lm.sampling.seed", "1"),
    ({"lm": Lm(batch_chunk_size=0)}, "lm.batch_chunk_size", "0"),
    ({"lm": Lm(negative_prompt="x" * 513)}, "lm.negative_prompt", "513 characters"),
    ({"output": {"audio_format": 99}}, "output.audio_format", "99"),
    ({"output": Output(mp3_bits_per_second=128_000)}, "output.mp3_bits_per_second", "128000"),
    ({"output": Output(normalization_db=1.0)}, "output.normalization_db", "1"),
    ({"output": Output(fade_in_seconds=NAN)}, "output.fade_in_seconds", "nan"),
]


@pytest.mark.parametrize(("fields", "field", "value"), BAD_FIELDS)
async def test_a_bad_field_is_named_with_its_rule_and_value(
    world: World, fields: dict[str, Any], field: str, value: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, song_request(**fields))

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = caught.value.violations
    assert (violation.field, violation.value) == (field, value)
    assert violation.rule
    assert not world.lm.requests


async def test_bad_fields_of_gateway_and_diffusion_are_told_together(world: World) -> None:
    request = song_request(bpm=10, diffusion=Diffusion(inference_steps=99))

    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, request)

    assert [violation.field for violation in caught.value.violations] == [
        "bpm",
        "diffusion.inference_steps",
    ]


async def test_all_that_the_diffusion_finds_is_told_with_what_the_gateway_finds(tmp_path: Path) -> None:
    request = pb.GenerateMusicRequest(
        task=music_pb2.TASK_REPAINT,
        caption="x" * 513,
        tracks=[music_pb2.TRACK_DRUMS],
        cover=music_pb2.CoverParams(audio_cover_strength=2.0),
        repaint=music_pb2.RepaintParams(mode=99),  # type: ignore[arg-type]
        diffusion=Diffusion(infer_method=99, sampler_mode=99),  # type: ignore[arg-type]
    )

    async with whole(tmp_path, FakeLmEngine(grammar=GRAMMAR), FakeEngine()) as client:
        with pytest.raises(ServiceError) as caught:
            await client.generate(request)

    assert {violation.field for violation in caught.value.violations} == {
        "caption",
        "source_audio_id",
        "tracks",
        "cover.audio_cover_strength",
        "repaint.mode",
        "diffusion.infer_method",
        "diffusion.sampler_mode",
    }


async def test_what_gateway_and_diffusion_both_find_is_told_once(tmp_path: Path) -> None:
    request = song_request(bpm=10, source_audio_id="0" * 32)

    async with whole(tmp_path, FakeLmEngine(grammar=GRAMMAR), FakeEngine()) as client:
        with pytest.raises(ServiceError) as caught:
            await client.generate(request)

    assert sorted(item.field for item in caught.value.violations) == ["bpm", "source_audio_id"]


async def test_neither_caption_nor_lyrics_is_refused(world: World) -> None:
    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, pb.GenerateMusicRequest(caption="  "))

    assert [violation.field for violation in caught.value.violations] == ["caption"]


@pytest.mark.parametrize(
    ("batch", "field"),
    [
        (Batch(batch_size=0), "batch.batch_size"),
        (Batch(batch_size=9), "batch.batch_size"),
        (Batch(batch_size=1, seeds=[1, 2]), "batch.seeds"),
        (Batch(batch_size=2, seeds=[1, -1]), "batch.seeds[1]"),
        (Batch(batch_size=1, dit_seeds=[-5]), "batch.dit_seeds[0]"),
    ],
)
async def test_a_bad_batch_is_refused(world: World, batch: pb.BatchParams, field: str) -> None:
    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, pb.GenerateMusicRequest(caption="c", batch=batch))

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in caught.value.violations] == [field]


@pytest.mark.parametrize("field", ["model", "lm_model"])
async def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(world: World, field: str) -> None:
    request = song_request()
    setattr(request, field, "nope")

    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, request)

    assert caught.value.code is grpc.StatusCode.NOT_FOUND
    assert "fake" in caught.value.message
    assert caught.value.facts["value"] == "nope"


async def test_a_task_that_is_not_offered_is_refused_before_any_work(world: World) -> None:
    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, song_request(task=music_pb2.TASK_LEGO))

    assert (caught.value.code, caught.value.reason) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "TASK_NOT_OFFERED",
    )
    assert not world.lm.requests


async def test_rewritten_lyrics_are_refused_rather_than_ignored(world: World) -> None:
    request = song_request()
    request.lm.chain_of_thought.use_cot_lyrics = True

    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, request)

    assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_far_too_large_is_refused_and_the_next_request_works(world: World) -> None:
    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, song_request(lyrics="x" * 17_000_000))

    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await songs_of(world.client, song_request())


async def test_a_large_message_names_its_large_field(world: World) -> None:
    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, song_request(lyrics="x" * 5_000_000))

    assert [violation.value for violation in caught.value.violations] == ["5000000 characters"]
