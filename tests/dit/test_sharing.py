"""The real engine behind a real server: calls of every kind share the device, and some are given up."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
from prometheus_client import REGISTRY

from acestep.dit.v1 import dit_service_pb2 as pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_grpc
from acestep.music.v1 import music_pb2
from dit_service.engine import Waveform
from dit_service.torch_engine import TorchEngine
from tests.dit.conftest import DitConnector
from tests.dit.golden import CHECKPOINTS, MODELS, TOLERANCE
from tests.dit.test_encode_decode import chunks, file, header, upload
from tests.dit.test_files import song_of
from tests.dit.test_live_audio import live_of
from tests.dit.test_render import events_of, job, requests

TILES = 30.0
"""Seconds of a song that is decoded in two tiles."""


@pytest.fixture(scope="module")
def engine() -> TorchEngine:
    return TorchEngine.load(CHECKPOINTS, (MODELS["turbo"], MODELS["base"]), "cpu")


async def until_decoding(call: AsyncIterator[pb.RenderResponse]) -> None:
    async for event in call:
        if event.progress.phase == pb.RENDER_PHASE_DECODING:
            return


async def cancelled_while_decoded(dit: dit_grpc.DitServiceStub) -> None:
    call = dit.Render(requests(job(seed=3, duration_s=TILES, stream_audio=True)))
    await until_decoding(call)
    call.cancel()


async def expired(dit: dit_grpc.DitServiceStub) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await events_of(dit.Render(requests(job(seed=4, duration_s=TILES)), timeout=0.05))
    return caught.value.code()


async def decoded(dit: dit_grpc.DitServiceStub, codes: list[int]) -> Waveform:
    request = pb.DecodeRequest(audio_codes=pb.DecodeRequest.Codes(codes=codes))
    parts = [part.audio.samples async for part in dit.Decode(request) if part.HasField("audio")]
    return np.frombuffer(b"".join(parts), "<f4")


async def test_calls_of_every_kind_are_what_they_are_alone(
    engine: TorchEngine, connect: DitConnector
) -> None:
    short = job(seed=1, duration_s=10.0)
    long = job(seed=2, duration_s=TILES, stream_audio=True)
    diffusion = music_pb2.DiffusionParams(inference_steps=3)
    other = job(seed=5, duration_s=12.0, model=MODELS["base"], diffusion=diffusion)
    codes = list(range(40))
    async with connect(engine, max_together=4) as dit:
        alone = [await events_of(dit.Render(requests(order))) for order in (short, long, other)]
        sound, heard = await decoded(dit, codes), await dit.EncodeAudio(upload(header(), *chunks(file())))

        *songs, sound_too, heard_too, _, status = await asyncio.gather(
            *(events_of(dit.Render(requests(order))) for order in (short, long, other)),
            decoded(dit, codes),
            dit.EncodeAudio(upload(header(), *chunks(file()))),
            cancelled_while_decoded(dit),
            expired(dit),
        )

    for song, song_alone in zip(songs, alone, strict=True):
        np.testing.assert_allclose(song_of(song), song_of(song_alone), atol=TOLERANCE, rtol=0)
    gain = songs[1][-1].result.live_gain
    np.testing.assert_allclose(live_of(songs[1]) * gain, song_of(songs[1]), atol=1e-6, rtol=0)
    np.testing.assert_array_equal(sound_too, sound)
    assert heard_too == heard
    assert status is grpc.StatusCode.DEADLINE_EXCEEDED
    assert REGISTRY.get_sample_value("acestep_dit_renders_running") == 0
