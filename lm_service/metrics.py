"""What Prometheus sees of this service, beside the calls that `common.telemetry` counts."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

from lm_service.admission import Admission

REQUESTS_RUNNING = Gauge("acestep_lm_requests_running", "Requests that hold rows of the batch.", ["phase"])
TOKENS = Counter("acestep_lm_tokens_total", "Tokens written.", ["phase"])
ABORTS = Counter("acestep_lm_aborts_total", "Requests that ended before their last token.", ["phase"])
QUEUE_SECONDS = Histogram(
    "acestep_lm_queue_seconds",
    "Seconds that a request waited for its place in the batch.",
    ["phase"],
    buckets=(0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
RUN_SECONDS = Histogram(
    "acestep_lm_run_seconds",
    "Seconds from the place in the batch to the last token, of requests that ended well.",
    ["phase"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300),
)
FIRST_TOKEN_SECONDS = Histogram(
    "acestep_lm_first_token_seconds",
    "Seconds from the place in the batch to the first token.",
    ["phase"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
TOKEN_SECONDS = Histogram(
    "acestep_lm_token_seconds",
    "Seconds per token of a request, the mean since its last report, which comes every 16 tokens.",
    ["phase"],
    buckets=(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)


class Watched(Protocol):
    """What an engine says about itself."""

    def unfinished_count(self) -> int: ...
    def preemption_count(self) -> int: ...
    def running_row_count(self) -> int: ...
    def cache_used_ratio(self) -> float: ...
    def mask_counts(self) -> Mapping[str, int]: ...


class ServiceCollector(Collector):
    """Reads engine and admission whenever Prometheus asks; they keep these numbers anyway."""

    def __init__(self, engine: Watched, admission: Admission) -> None:
        self._engine = engine
        self._admission = admission

    def collect(self) -> Iterator[Metric]:
        engine, admission = self._engine, self._admission
        tokens = admission.room.token_count - admission.free.token_count
        for name, text, value in (
            ("requests_queued", "Requests that wait for a place in the batch.", admission.queued_count),
            ("reserved_tokens", "Tokens that admitted requests are expected to hold.", tokens),
            (
                "engine_unfinished_requests",
                "Requests that the engine itself still knows; 0 when idle.",
                engine.unfinished_count(),
            ),
            (
                "rows_running",
                "Rows of the last step; a guided request has two.",
                engine.running_row_count(),
            ),
            (
                "cache_used_ratio",
                "Share of the cache of keys and values in use, within [0, 1].",
                engine.cache_used_ratio(),
            ),
        ):
            yield GaugeMetricFamily(f"acestep_lm_{name}", text, value)
        yield CounterMetricFamily(
            "acestep_lm_preemptions",
            "Times that a request had to give its memory back and start over.",
            engine.preemption_count(),
        )
        masks = CounterMetricFamily(
            "acestep_lm_constraint_masks",
            "Times that the grammar decided what a row may write, by how many tokens it left.",
            labels=["kind"],
        )
        for kind, count in engine.mask_counts().items():
            masks.add_metric([kind], count)
        yield masks


def watch(engine: Watched, admission: Admission) -> ServiceCollector:
    """Show them to Prometheus."""
    collector = ServiceCollector(engine, admission)
    REGISTRY.register(collector)
    return collector
