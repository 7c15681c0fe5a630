"""What Prometheus sees of this service, beside the calls that `common.telemetry` counts."""

from typing import Protocol

from prometheus_client import Counter, Gauge, Histogram

from lm_service.admission import Admission

REQUESTS_RUNNING = Gauge("acestep_lm_requests_running", "Requests that hold rows of the batch.", ["phase"])
REQUESTS_QUEUED = Gauge("acestep_lm_requests_queued", "Requests that wait for rows.")
ENGINE_UNFINISHED = Gauge(
    "acestep_lm_engine_unfinished_requests", "Requests that the engine itself still knows; 0 when idle."
)
TOKENS = Counter("acestep_lm_tokens_total", "Tokens written.", ["phase"])
ABORTS = Counter("acestep_lm_aborts_total", "Requests that ended before their last token.", ["phase"])
FIRST_TOKEN_SECONDS = Histogram(
    "acestep_lm_first_token_seconds",
    "Seconds from the place in the batch to the first token.",
    ["phase"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
PREEMPTIONS = Gauge(
    "acestep_lm_preemptions",
    "Times that a request had to give its memory back and start over, since the start.",
)


class Watched(Protocol):
    """What an engine says about itself."""

    def unfinished_count(self) -> int: ...
    def preemption_count(self) -> int: ...


def watch(engine: Watched, admission: Admission) -> None:
    """Read these from their owners whenever Prometheus asks."""
    ENGINE_UNFINISHED.set_function(engine.unfinished_count)
    PREEMPTIONS.set_function(engine.preemption_count)
    REQUESTS_QUEUED.set_function(lambda: admission.queued_count)
