"""What the running system tells of a song: to its logs, its metrics and its traces."""

import asyncio

import pytest

from acestep.client import Client
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from tests.system.collector import Span
from tests.system.conftest import System

pytestmark = pytest.mark.engine

MARKERS = ("marzipan", "zugzwang", "quokka", "syzygy")
CAPTION, LYRICS, NEGATIVE, QUERY = MARKERS


async def test_nothing_that_a_user_wrote_is_logged_counted_or_traced(
    system: System, client: Client
) -> None:
    song = pb.GenerateMusicRequest(
        request_id="told-1",
        caption=f"{CAPTION} piano",
        lyrics=f"[Verse]\n{LYRICS} la la",
        duration_seconds=10,
    )
    song.lm.negative_prompt = NEGATIVE
    song.lm.sampling.constrained_decoding_debug = True
    async for _ in client.generate(song, timeout_s=120):
        pass
    refused = pb.GenerateMusicRequest(caption=CAPTION, lyrics=LYRICS * 1000, keyscale="H minor")
    with pytest.raises(Exception, match="lyrics"):
        async for _ in client.generate(refused, timeout_s=120):
            pass
    asked = pb.CreateSampleRequest(query=QUERY, sampling=music_pb2.LmSampling(seed=1))
    async for _ in client.create(asked, timeout_s=120):
        pass
    spans = await spans_of(system, "told-1")

    told = {"logs": system.logs(), "metrics": system.metrics(), "traces": str(spans)}
    assert "told-1" in told["logs"]
    assert 'acestep_gateway_songs_total{code="OK"}' in told["metrics"]
    for where, text in told.items():
        assert not [marker for marker in MARKERS if marker in text], where


async def test_a_song_is_one_trace_through_all_services(system: System, client: Client) -> None:
    song = pb.GenerateMusicRequest(request_id="traced-1", caption="piano", duration_seconds=10)
    async for _ in client.generate(song, timeout_s=120):
        pass

    names = {(span.service, span.name) for span in await spans_of(system, "traced-1")}

    assert {("acestep-lm", "plan"), ("acestep-lm", "codes"), ("acestep-lm", "queue")} <= names
    assert {("acestep-dit", name) for name in ("conditioning", "diffusion", "decoding")} <= names
    assert {("acestep-gateway", "song"), ("acestep-gateway", "encode")} <= names


async def spans_of(system: System, request_id: str) -> list[Span]:
    """The spans of the request's trace, once all three services have sent theirs."""
    async with asyncio.timeout(30):
        while True:
            traces = {
                span.trace_id
                for span in system.collector.spans
                if request_id in span.attributes.get("acestep.request_id", "")
            }
            spans = [span for trace in traces for span in system.collector.of_trace(trace)]
            if {span.name for span in spans} >= {"song", "codes", "decoding"} and len(
                {span.service for span in spans}
            ) == 3:
                return spans
            await asyncio.sleep(0.2)
