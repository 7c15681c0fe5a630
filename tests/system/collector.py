"""A collector of OpenTelemetry that keeps what it gets."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc


@dataclass(frozen=True, slots=True)
class Span:
    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]


@dataclass(slots=True)
class Collector(rpc.TraceServiceServicer):
    port: int = 0
    spans: list[Span] = field(default_factory=list)

    def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            facts = {item.key: item.value.string_value for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    attributes = {item.key: str(item.value) for item in span.attributes}
                    self.spans.append(Span(facts["service.name"], span.name, *ids, attributes))
        return pb.ExportTraceServiceResponse()

    def of_trace(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id == trace_id]


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    rpc.add_TraceServiceServicer_to_server(collector, server)
    collector.port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(None)
