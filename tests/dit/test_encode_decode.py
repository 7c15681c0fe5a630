"""`EncodeAudio`, `Decode` and `GetModelInfo`, seen from the client's side of the wire."""

import io
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
import soundfile
from prometheus_client import REGISTRY

from acestep.dit.v1 import dit_service_pb2 as pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_grpc
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from common.status import from_rpc_error
from tests.dit.conftest import DitConnector
from tests.dit.fakes import FakeEngine
from tests.dit.golden import wave
from tests.dit.test_render import events_of, job, next_of, requests

Request = pb.EncodeAudioRequest
CHUNK_BYTES = 256 * 1024


def file(samples: int = 96_000, rate: int = 48_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave(samples, kind=0), rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


async def upload(*messages: Request) -> AsyncIterator[Request]:
    for message in messages:
        yield message


def header(**fields: object) -> Request:
    return Request(header=Request.Header(**fields))  # type: ignore[arg-type]


def chunks(data: bytes) -> list[Request]:
    return [
        Request(audio=music_pb2.FileChunk(data=data[start : start + CHUNK_BYTES]))
        for start in range(0, len(data), CHUNK_BYTES)
    ]


async def refused(dit: dit_grpc.DitServiceStub, *messages: Request) -> AceError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await dit.EncodeAudio(upload(*messages))
    return from_rpc_error(caught.value)


async def test_a_file_becomes_codes(connect: DitConnector) -> None:
    async with connect(FakeEngine()) as dit:
        answer = await dit.EncodeAudio(upload(header(), *chunks(file())))

    assert list(answer.audio_codes) == list(range(10))
    assert not answer.HasField("latents")
    assert answer.duration_seconds == 2.0
    assert answer.model.name == "acestep-v15-turbo"


async def test_a_file_becomes_latents_at_any_rate(connect: DitConnector) -> None:
    async with connect(FakeEngine()) as dit:
        asked = header(codes=False, latents=True)
        answer = await dit.EncodeAudio(upload(asked, *chunks(file(44_100 * 2, rate=44_100))))

    assert not answer.audio_codes
    assert answer.latents.frame_count == 50
    assert answer.duration_seconds == 2.0


async def test_a_cancelled_encoding_stops_at_its_next_tile(connect: DitConnector) -> None:
    engine = FakeEngine(step_count=1, tile_count=3, paused=True)
    async with connect(engine) as dit:
        abandoned = dit.EncodeAudio(upload(header(), *chunks(file())))
        while device_busy() == 0:  # until it has the device, where it waits in its first tile
            await dit.GetModelInfo(pb.GetModelInfoRequest())
        following = dit.Render(requests(job(duration_s=10.0)))
        await next_of(following, "queued")
        abandoned.cancel()
        await dit.GetModelInfo(pb.GetModelInfoRequest())
        engine.allow(1 + 1 + 3)  # the tile under way, and no more than the song needs
        events = await events_of(following)

    assert events[-1].HasField("result")
    assert (engine.tiles_encoded, engine.encodings_closed) == (1, 1)


def device_busy() -> float:
    return REGISTRY.get_sample_value("acestep_dit_device_busy") or 0.0


async def test_uploads_that_break_the_rules_are_refused(connect: DitConnector) -> None:
    big = Request(audio=music_pb2.FileChunk(data=bytes(1024 * 1024 + 1)))
    full = Request(audio=music_pb2.FileChunk(data=bytes(1024 * 1024)))
    async with connect(FakeEngine()) as dit:
        errors = {
            "nothing": await refused(dit),
            "no header": await refused(dit, *chunks(file())),
            "no file": await refused(dit, header()),
            "two headers": await refused(dit, header(), header()),
            "nothing asked": await refused(dit, header(codes=False), *chunks(file())),
            "chunk": await refused(dit, header(), big),
            "whole": await refused(dit, header(), *[full] * 5),
            "no audio": await refused(dit, header(), *chunks(b"no audio")),
        }
        unknown = await refused(dit, header(model="sft"), *chunks(file()))

    assert {name: error.kind for name, error in errors.items()} == dict.fromkeys(errors, Kind.INVALID)
    fields = {name: error.violations[0].field for name, error in errors.items()}
    assert fields == {
        "nothing": "header",
        "no header": "header",
        "no file": "audio",
        "two headers": "audio",
        "nothing asked": "header.codes",
        "chunk": "audio.data",
        "whole": "audio",
        "no audio": "audio",
    }
    assert errors["chunk"].reason == "CHUNK_TOO_LARGE"
    assert errors["whole"].reason == "FILE_TOO_LARGE"
    assert unknown.kind is Kind.NOT_FOUND


def latents(values: np.ndarray | None = None, **fields: object) -> music_pb2.Latents:
    values = np.ones((50, 8), np.float32) if values is None else values
    described = {"data": values.tobytes(), "frame_count": 50, "channel_count": 8}
    return music_pb2.Latents(**described | fields)  # type: ignore[arg-type]


async def decoded(dit: dit_grpc.DitServiceStub, request: pb.DecodeRequest) -> np.ndarray:
    *sound, end = [event async for event in dit.Decode(request)]
    samples = np.frombuffer(b"".join(event.audio.samples for event in sound), "<f4").reshape(-1, 2)
    assert end.result.loudness.true_peak_dbtp >= 20 * np.log10(np.abs(samples).max()) - 1e-3
    assert end.result.peak_before_normalization == pytest.approx(0.5, abs=1e-3)
    assert end.result.duration_seconds == len(samples) / 48_000
    return samples


async def test_latents_and_codes_become_finished_sound(connect: DitConnector) -> None:
    async with connect(FakeEngine()) as dit:
        from_latents = await decoded(dit, pb.DecodeRequest(latents=latents()))
        codes = pb.DecodeRequest.Codes(codes=range(10))
        quiet = pb.Finish(normalization_db=-20)
        from_codes = await decoded(dit, pb.DecodeRequest(audio_codes=codes, finish=quiet))

    assert from_latents.shape == from_codes.shape == (96_000, 2)
    assert np.abs(from_latents).max() == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    assert np.abs(from_codes).max() == pytest.approx(0.1, rel=1e-5)


Codes = pb.DecodeRequest.Codes


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("source", pb.DecodeRequest()),
        ("latents.data", pb.DecodeRequest(latents=latents(np.full((50, 8), np.nan, np.float32)))),
        ("latents.data", pb.DecodeRequest(latents=latents(np.full((50, 8), np.inf, np.float32)))),
        ("latents.data", pb.DecodeRequest(latents=latents(np.zeros((50, 8), np.float32)))),
        ("latents.data", pb.DecodeRequest(latents=latents(data=b"short"))),
        ("latents.channel_count", pb.DecodeRequest(latents=latents(channel_count=64))),
        ("latents.frame_count", pb.DecodeRequest(latents=latents(frame_count=0))),
        ("latents.frame_count", pb.DecodeRequest(latents=latents(frame_count=15_001))),
        ("audio_codes.codes", pb.DecodeRequest(audio_codes=Codes())),
        ("audio_codes.codes", pb.DecodeRequest(audio_codes=Codes(codes=[1] * 3001))),
        ("audio_codes.codes[0]", pb.DecodeRequest(audio_codes=Codes(codes=[64_000]))),
        (
            "finish.normalization_db",
            pb.DecodeRequest(latents=latents(), finish=pb.Finish(normalization_db=1)),
        ),
    ],
)
async def test_what_is_no_sound_is_not_decoded(
    connect: DitConnector, field: str, request_: pb.DecodeRequest
) -> None:
    async with connect(FakeEngine()) as dit:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await decoded(dit, request_)

    error = from_rpc_error(caught.value)
    assert error.kind is Kind.INVALID
    assert error.violations[0].field == field


async def test_the_models_are_told_with_all_their_defaults(connect: DitConnector) -> None:
    async with connect(FakeEngine(), max_queued=5, max_calls=7) as dit:
        info = await dit.GetModelInfo(pb.GetModelInfoRequest())

    turbo, base = info.models
    assert (turbo.model.name, turbo.is_turbo, turbo.max_inference_steps) == ("acestep-v15-turbo", True, 20)
    assert (base.model.name, base.is_turbo, base.max_inference_steps) == ("acestep-v15-base", False, 200)
    for_all = [music_pb2.TASK_TEXT2MUSIC, music_pb2.TASK_COVER, music_pb2.TASK_REPAINT]
    on_tracks = [music_pb2.TASK_LEGO, music_pb2.TASK_EXTRACT, music_pb2.TASK_COMPLETE]
    assert list(turbo.tasks) == for_all
    assert list(base.tasks) == [*for_all, *on_tracks]
    assert (turbo.defaults.inference_steps, turbo.defaults.shift) == (8, 3.0)
    assert (base.defaults.inference_steps, base.defaults.guidance_scale) == (50, 7.0)
    assert turbo.code_count == 64_000
    assert (info.vae.name, info.text_encoder.name) == ("vae", "Qwen3-Embedding-0.6B")
    assert (info.max_queued_count, info.max_call_count) == (5, 7)
    assert info.max_upload_bytes == 4 * 1024 * 1024
