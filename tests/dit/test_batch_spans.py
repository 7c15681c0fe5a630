"""Which songs were denoised together can be read from traces."""

from collections.abc import Iterator, Mapping
from contextvars import Context, copy_context

import pytest
from opentelemetry import context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, Tracer, set_span_in_context

from dit_service import batch_spans
from dit_service.batch_spans import BatchSpans


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracer]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("acestep")
    monkeypatch.setattr(batch_spans, "TRACER", tracer)
    yield tracer
    provider.shutdown()


def within(span: Span) -> Context:
    """Of a task that serves a call whose span is `span`."""
    task = copy_context()
    task.run(context.attach, set_span_in_context(span))
    return task


def batches(exporter: InMemorySpanExporter, names: Mapping[int, str]) -> list[list[str]]:
    def linked(span: ReadableSpan) -> list[str]:
        return [names[link.context.span_id] for link in span.links]

    return [linked(span) for span in exporter.get_finished_spans() if span.name == "batch"]


def test_a_batch_is_linked_to_its_songs_as_long_as_they_stay_together(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    calls = {name: tracer.start_span(name) for name in "abc"}
    names = {span.get_span_context().span_id: name for name, span in calls.items()}
    songs = {name: within(span) for name, span in calls.items()}
    spans = BatchSpans()

    for together in ("a", "ab", "ab", "abc", "abc", "bc", "c", ""):
        spans.together({"a model": [songs[name] for name in together]} if together else {})

    assert batches(exporter, names) == [["a", "b"], ["a", "b", "c"], ["b", "c"]]
    first = exporter.get_finished_spans()[0]
    assert first.parent == calls["a"].get_span_context()
    assert first.attributes == {"acestep.batch_size": 2}


def test_songs_of_two_models_are_two_batches(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    calls = {name: tracer.start_span(name) for name in "abcd"}
    names = {span.get_span_context().span_id: name for name, span in calls.items()}
    songs = {name: within(span) for name, span in calls.items()}
    spans = BatchSpans()

    spans.together({"turbo": [songs["a"], songs["b"]], "base": [songs["c"], songs["d"]]})
    spans.together({})

    assert batches(exporter, names) == [["a", "b"], ["c", "d"]]
