"""Bad input against real stages: refused before any model works, with field, rule and value."""

import math

import grpc
import pytest

from acestep.client import Client
from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from tests.system.conftest import System
from tests.system.test_song import song_request, songs_of

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

Params = music_pb2.DiffusionParams
NAN = math.nan


@pytest.mark.parametrize(
    ("diffusion", "field"),
    [
        (Params(inference_steps=0), "diffusion.inference_steps"),
        (Params(inference_steps=21), "diffusion.inference_steps"),
        (Params(guidance_scale=7.0), "diffusion.guidance_scale"),
        (Params(guidance_scale=NAN), "diffusion.guidance_scale"),
        (Params(use_adg=True), "diffusion.use_adg"),
        (Params(shift=0.5), "diffusion.shift"),
        (Params(shift=NAN), "diffusion.shift"),
        (Params(cfg_interval_start=-0.1), "diffusion.cfg_interval_start"),
        (Params(cfg_interval_start=0.8, cfg_interval_end=0.2), "diffusion.cfg_interval_start"),
        (Params(timesteps=[0.5, 0.7, 0.0]), "diffusion.timesteps"),
        (Params(timesteps=[1.5, 0.7]), "diffusion.timesteps"),
        (Params(timesteps=[NAN, 0.5]), "diffusion.timesteps"),
        (Params(timesteps=[1 - i / 30 for i in range(30)]), "diffusion.timesteps"),
    ],
    ids=str,
)
async def test_a_bad_diffusion_parameter_is_named(client: Client, diffusion: Params, field: str) -> None:
    with pytest.raises(ServiceError) as caught:
        await songs_of(client, song_request(1, diffusion=diffusion))

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in [violation.field.split("[")[0] for violation in caught.value.violations]


async def test_violations_of_gateway_and_diffusion_leave_the_system_working(
    client: Client, system: System
) -> None:
    with pytest.raises(ServiceError):
        await songs_of(client, song_request(1, task=music_pb2.TASK_EXTRACT))
    with pytest.raises(ServiceError):
        await songs_of(client, song_request(1, audio_codes=[1000]))

    assert not any(system.gauges().values())
    assert await songs_of(client, song_request(1))


async def test_a_turbo_model_cannot_extract_and_says_so(client: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        await songs_of(client, song_request(1, task=music_pb2.TASK_EXTRACT))

    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_cover_of_nothing_names_what_is_missing(client: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        await songs_of(client, song_request(1, task=music_pb2.TASK_COVER))

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in caught.value.violations] == ["source_audio_id"]


async def test_an_unknown_model_is_not_found(client: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        await songs_of(client, song_request(1, model="acestep-v15-xl-base"))

    assert caught.value.code is grpc.StatusCode.NOT_FOUND
    assert "acestep-v15-turbo" in caught.value.message


async def test_lyrics_too_long_for_the_model_are_refused(client: Client) -> None:
    request = song_request(1, lyrics="水" * 4096)
    request.ClearField("bpm")

    with pytest.raises(ServiceError) as caught:
        await songs_of(client, request)

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "tokens" in str(pb.SongError(message=caught.value.message))
