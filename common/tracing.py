"""Spans of OpenTelemetry: one for each call, and one for each phase of its work.

Without `begin` they cost next to nothing and go nowhere, but a caller's trace is passed on.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACER = trace.get_tracer("acestep")
PROPAGATOR = TraceContextTextMapPropagator()
"""W3C's `traceparent` alone: baggage would carry a caller's words to the stages."""
REQUEST_ID_ATTRIBUTE = "acestep.request_id"

Value = str | int | float


def begin(service: str, version: str, endpoint: str, ratio: float) -> None:
    """Send spans to the collector at `endpoint`, of the share `ratio` of traces that begin here.

    Raises `ValueError` if the packages for it are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415 - an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ValueError(f"traces need {error.name}: install acestep-serve[traces]") from None
    provider = TracerProvider(
        resource=Resource.create({"service.name": service, "service.version": version}),
        sampler=ParentBasedTraceIdRatio(ratio),
    )
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https://"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def enter(span: Span) -> None:
    """Make `span` the parent of what the current task does from now on.

    It is never taken back: tasks end with what they work for, and a generator may be closed
    where its context is not.
    """
    context.attach(trace.set_span_in_context(span))


@contextmanager
def call_span(method: str, metadata: Mapping[str, str | bytes], request_id: str) -> Iterator[Span]:
    """The span of a call that is served, in the trace that its metadata name; parent of all others."""
    span = TRACER.start_span(
        method.removeprefix("/"),
        context=PROPAGATOR.extract(metadata),
        kind=SpanKind.SERVER,
        attributes={
            "rpc.system.name": "grpc",
            "rpc.method": method.removeprefix("/"),
            REQUEST_ID_ATTRIBUTE: request_id,
        },
    )
    enter(span)
    try:
        yield span
    finally:
        span.end()


def ended(span: Span, code: str, ours: bool) -> None:
    """Note how a call ended; a server's span is an error only if the server is to blame."""
    span.set_attribute("rpc.response.status_code", code)
    if ours:
        span.set_status(Status(StatusCode.ERROR, code))


def headers() -> tuple[tuple[str, str], ...]:
    """Metadata that make the callee's spans part of the current trace."""
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier)
    return tuple(carrier.items())


def trace_id() -> str:
    """Of the current trace, as 32 hex digits; empty if nothing is recorded."""
    span = trace.get_current_span()
    return format(span.get_span_context().trace_id, "032x") if span.is_recording() else ""


def past(name: str, began: float, end: float | None = None, **attributes: Value) -> None:
    """A span of what happened from `began` to `end`, or to now, by the clock of `time.monotonic`."""
    now, now_ns = time.monotonic(), time.time_ns()
    span = TRACER.start_span(name, start_time=now_ns - int((now - began) * 1e9), attributes=attributes)
    span.end(now_ns if end is None else now_ns - int((now - end) * 1e9))


class Phases:
    """Spans of phases that follow each other without a gap."""

    def __init__(self) -> None:
        self._span: Span | None = None

    def enter(self, name: str) -> None:
        self.end()
        self._span = TRACER.start_span(name)

    def end(self) -> None:
        if self._span is not None:
            self._span.end()
            self._span = None
