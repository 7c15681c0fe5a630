"""Understand, create, format and capabilities, seen from the client's side of the wire."""

import grpc
import pytest

from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from tests.gateway.conftest import World


async def test_codes_are_described(world: World) -> None:
    codes = pb.UnderstandMusicRequest.AudioCodes(codes=[1, 2])

    (event,) = [e async for e in world.client.understand(pb.UnderstandMusicRequest(audio_codes=codes))]

    assert event.result.description.metadata.bpm == 120
    assert event.result.description.lyrics == "[Verse]\nla"
    assert event.result.description.lm_model.name == "lm-fake"
    assert list(event.result.audio_codes) == [1, 2]


async def test_a_sample_is_created_with_the_given_sampling(world: World) -> None:
    sampling = music_pb2.LmSampling(seed=7, temperature=0.0)
    request = pb.CreateSampleRequest(query="a song", vocal_language="bn", sampling=sampling)

    (event,) = [e async for e in world.client.create(request)]

    assert event.result.description.seed == 7
    assert event.result.description.instrumental
    asked = world.lm.requests[0]
    assert (asked.sampling.temperature, asked.sampling.top_p, asked.vocal_language) == (0.0, 1.0, "bn")


async def test_formatting_keeps_the_users_metadata_in_its_normal_form(world: World) -> None:
    metadata = music_pb2.SongMetadata(bpm=95, keyscale="Am", timesignature="6/8", language="es")

    await anext(world.client.format(pb.FormatSampleRequest(caption="c", user_metadata=metadata)))

    fixed = world.lm.requests[0].fixed
    assert fixed == music_pb2.SongMetadata(bpm=95, keyscale="A minor", timesignature="6", language="es")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.UnderstandMusicRequest(), "source"),
        (pb.UnderstandMusicRequest(audio_codes={"codes": [1000]}), "audio_codes.codes[0]"),
        (pb.CreateSampleRequest(query="x" * 513), "query"),
        (pb.CreateSampleRequest(query="a", vocal_language="xx"), "vocal_language"),
        (pb.FormatSampleRequest(caption="x" * 513), "caption"),
        (pb.FormatSampleRequest(user_metadata={"bpm": 10}), "user_metadata.bpm"),
        (pb.FormatSampleRequest(user_metadata={"caption": "c"}), "user_metadata.caption"),
    ],
)
async def test_a_bad_field_is_named(world: World, request_: object, field: str) -> None:
    call = {
        pb.UnderstandMusicRequest: world.client.understand,
        pb.CreateSampleRequest: world.client.create,
        pb.FormatSampleRequest: world.client.format,
    }[type(request_)]

    with pytest.raises(ServiceError) as caught:
        [event async for event in call(request_)]  # type: ignore[operator]

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in caught.value.violations] == [field]


async def test_capabilities_name_models_tasks_limits_and_defaults(world: World) -> None:
    offered = await world.client.capabilities()

    assert [model.model.name for model in offered.dit_models] == ["dit-fake"]
    assert [model.name for model in offered.lm_models] == ["lm-fake"]
    assert list(offered.dit_models[0].tasks) == [music_pb2.TASK_TEXT2MUSIC]
    assert (len(offered.languages), len(offered.keyscales)) == (51, 70)
    assert offered.lm_defaults.sampling.top_p == 0.9
    assert offered.code_count == 1000
    assert offered.limits.max_upload_bytes == 1_000_000
    assert "GenerateMusic" in offered.methods
