"""Spans of batches: which songs a device denoises together, with links to the spans of their calls."""

from collections.abc import Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass

from opentelemetry.trace import Link, Span, get_current_span, set_span_in_context

from common.tracing import TRACER


@dataclass(frozen=True, slots=True)
class _Batch:
    calls: tuple[Span, ...]
    span: Span


class BatchSpans:
    """A span lasts as long as the same songs go on together; a song alone has none."""

    def __init__(self) -> None:
        self._batches: dict[object, _Batch] = {}

    def together(self, groups: Mapping[object, Sequence[Context]]) -> None:
        """`groups` is what the device does next: of each group the contexts of its songs' calls."""
        calls = {
            group: tuple(each.run(get_current_span) for each in songs) for group, songs in groups.items()
        }
        for group, batch in list(self._batches.items()):
            if calls.get(group) != batch.calls:
                del self._batches[group]
                batch.span.end()
        for group, spans in calls.items():
            if len(spans) > 1 and group not in self._batches:
                self._batches[group] = _Batch(spans, _linked(spans))


def _linked(calls: Sequence[Span]) -> Span:
    """In the trace of the first call that is recorded, so that it is recorded if any of them is."""
    contexts = [call.get_span_context() for call in calls]
    recorded = [call for call, told in zip(calls, contexts, strict=True) if told.trace_flags.sampled]
    return TRACER.start_span(
        "batch",
        context=set_span_in_context(recorded[0] if recorded else calls[0]),
        links=[Link(told) for told in contexts],
        attributes={"acestep.batch_size": len(calls)},
    )
