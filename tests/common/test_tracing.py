"""Spans: what a song leaves behind in the three services, and how they reach a collector."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from tests.fuzz.system import system
from tests.system.collector import collecting

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
SONG = pb.GenerateMusicRequest(
    request_id="r-1", caption="marzipan piano", lyrics="zugzwang", duration_seconds=10
)


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """OpenTelemetry allows one provider in a process."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


async def make(channel: grpc.aio.Channel, request: pb.GenerateMusicRequest) -> None:
    call: Any = rpc.MusicServiceStub(channel).GenerateMusic(request, metadata=TRACEPARENT)
    async for _ in call:
        pass


def path_of(span: ReadableSpan, spans: tuple[ReadableSpan, ...]) -> list[str]:
    """The names from `span` up to the caller's own span."""
    by_id = {item.context.span_id: item for item in spans if item.context is not None}
    names = []
    current: ReadableSpan | None = span
    while current is not None:
        names.append(current.name.rpartition("/")[2])
        above = current.parent
        current = None if above is None else by_id.get(above.span_id)
        if current is None and above is not None:
            names.append(format(above.span_id, "016x"))
    return names


async def test_every_phase_of_a_song_is_a_span_of_its_callers_trace(
    spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    async with system(tmp_path) as channels:
        await make(channels.gateway, SONG)

    made = spans.get_finished_spans()
    paths = [path_of(span, made) for span in made if format(span.context.trace_id, "032x") == TRACE]
    song = ["song", "GenerateMusic", PARENT]
    for phase in ("queue", "codes"):
        assert [phase, "GenerateCodes", "call lm", *song] in paths
    for phase in ("queue", "plan"):
        assert [phase, "Plan", "call lm", *song[1:]] in paths
    for phase in ("conditioning", "diffusion", "decoding", "sending"):
        assert [phase, "Render", "call dit", *song] in paths
    assert ["encode", *song] in paths


async def test_spans_carry_the_requests_id_and_nothing_that_a_user_wrote(
    spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    async with system(tmp_path) as channels:
        await make(channels.gateway, SONG)

    made = spans.get_finished_spans()
    told = " ".join(span.to_json() for span in made)
    stages = [span for span in made if span.name.startswith(("acestep.lm", "acestep.dit"))]
    assert {span.attributes["acestep.request_id"] for span in stages if span.attributes} >= {"r-1"}
    assert "marzipan" not in told
    assert "zugzwang" not in told


async def test_a_refused_request_is_no_error_of_the_server(
    spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    async with system(tmp_path) as channels:
        with pytest.raises(grpc.aio.AioRpcError):
            await make(channels.gateway, pb.GenerateMusicRequest())

    (span,) = [
        span for span in spans.get_finished_spans() if span.name.endswith("MusicService/GenerateMusic")
    ]
    assert span.attributes is not None
    assert span.attributes["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert span.status.is_unset


def test_spans_reach_a_collector() -> None:
    program = (
        "from common import tracing\n"
        "import sys, time\n"
        "tracing.begin('acestep-lm', '1', sys.argv[1], 1.0)\n"
        "tracing.past('queue', time.monotonic() - 1.0)\n"
    )
    with collecting() as collector:
        endpoint = f"http://localhost:{collector.port}"
        subprocess.run([sys.executable, "-c", program, endpoint], check=True)

    assert [(span.service, span.name) for span in collector.spans] == [("acestep-lm", "queue")]


def test_without_a_collector_a_callers_trace_is_passed_on_all_the_same() -> None:
    program = (
        "from common import tracing\n"
        f"with tracing.call_span('/a.B/C', dict({TRACEPARENT!r}), 'r-1'):\n"
        "    print(dict(tracing.headers())['traceparent'], repr(tracing.trace_id()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.split() == [TRACEPARENT[0][1], "''"]
