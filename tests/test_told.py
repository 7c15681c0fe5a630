"""What the services tell of a request: nothing that its user wrote, at any level of the logs.

`tests/system/test_told.py` asks the same of the running system, vLLM's own logs included.
"""

import logging
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY, generate_latest

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from acestep.music.v1 import music_pb2
from tests.fuzz.system import system

MARKERS = ("marzipan", "zugzwang", "quokka", "syzygy", "ace_secret-token")
CAPTION, LYRICS, NEGATIVE, QUERY, TOKEN = MARKERS
OURS = ("common", "gateway", "lm_service", "dit_service")


def worded() -> pb.GenerateMusicRequest:
    request = pb.GenerateMusicRequest(
        caption=f"{CAPTION} piano", lyrics=f"[Verse]\n{LYRICS} la", instruction=QUERY, duration_seconds=10
    )
    request.lm.negative_prompt = NEGATIVE
    request.lm.sampling.constrained_decoding_debug = True
    return request


async def call(channel: grpc.aio.Channel, method: str, request: Any) -> grpc.StatusCode:
    metadata = (("authorization", f"Bearer {TOKEN}"), ("x-request-id", "told-1"))
    answer: Any = getattr(rpc.MusicServiceStub(channel), method)(request, metadata=metadata)
    try:
        async for _ in answer:
            pass
    except grpc.aio.AioRpcError:
        pass
    return await answer.code()  # type: ignore[no-any-return]


async def test_nothing_that_a_user_wrote_is_logged_or_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in OURS:
        caplog.set_level(logging.DEBUG, logger=name)
    too_long = worded()
    too_long.lyrics = LYRICS * 1000
    async with system(tmp_path) as channels:
        made = await call(channels.gateway, "GenerateMusic", worded())
        refused = await call(channels.gateway, "GenerateMusic", too_long)
        created = await call(
            channels.gateway,
            "CreateSample",
            pb.CreateSampleRequest(query=QUERY, sampling=music_pb2.LmSampling(seed=1)),
        )
        formatted = await call(
            channels.gateway, "FormatSample", pb.FormatSampleRequest(caption=CAPTION, lyrics=LYRICS)
        )

    metrics = generate_latest(REGISTRY).decode()
    assert [made, refused, created, formatted] == [
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OK,
        grpc.StatusCode.OK,
    ]
    assert "rendered 10.0 s" in caplog.text
    assert "acestep_gateway_songs_total" in metrics
    for told in (caplog.text, metrics):
        assert not [marker for marker in MARKERS if marker in told]
