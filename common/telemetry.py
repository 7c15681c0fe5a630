"""Logs and metrics, the same in every service. Captions and lyrics never come near either."""

import json
import logging
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import Enum

from prometheus_client import Gauge, Histogram, start_http_server

from common import tracing
from common.tenant import TENANT

REQUEST_ID_HEADER = "x-request-id"
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the request that the current task works for; every log line carries it."""

CALL_SECONDS = Histogram(
    "acestep_rpc_server_call_duration_seconds",
    "Duration of calls by method and status code.",
    ["method", "code"],
    buckets=(0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
CALLS_RUNNING = Gauge("acestep_rpc_server_calls_running", "Calls being served by method.", ["method"])


class LogFormat(Enum):
    JSON = "json"
    TEXT = "text"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            line["request_id"] = request_id
        if tenant := TENANT.get():
            line["tenant"] = tenant
        if trace := tracing.trace_id():
            line["trace_id"] = trace
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        request_id = REQUEST_ID.get()
        return super().format(record) + (f"  [{request_id}]" if request_id else "")


def configure_logging(log_format: LogFormat, level: str) -> None:
    """Send all logs to standard error. Called once, by a service's `__main__`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if log_format is LogFormat.JSON else _TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def serve_metrics(host: str, port: int) -> None:
    """Export the process's Prometheus metrics over HTTP; port 0 exports nothing.

    Raises `OSError` if the port is taken.
    """
    if port:
        try:
            start_http_server(port, host)
        except OSError as error:
            raise OSError(f"cannot serve metrics on {host}:{port}: {error.strerror}") from None


def new_request_id() -> str:
    return uuid.uuid4().hex
