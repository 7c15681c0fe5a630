"""What the start of every service has in common."""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from prometheus_client import Gauge

from acestep import __version__
from common import tracing
from common.settings import SettingsError, load
from common.telemetry import LogFormat, configure_logging, serve_metrics

logger = logging.getLogger(__name__)

BUILD = Gauge("acestep_build_info", "1; the labels say what runs.", ["service", "version"])


class ServiceSettings(Protocol):
    """The settings that every service has."""

    @property
    def metrics_host(self) -> str: ...
    @property
    def metrics_port(self) -> int: ...
    @property
    def log_format(self) -> LogFormat: ...
    @property
    def log_level(self) -> str: ...
    @property
    def otlp_endpoint(self) -> str | None: ...
    @property
    def trace_ratio(self) -> float: ...


S = TypeVar("S", bound=ServiceSettings)


def run(settings_type: type[S], prefix: str, main: Callable[[S], Coroutine[Any, Any, None]]) -> None:
    """Read the settings, begin logs and metrics, and run `main` to its end.

    What an operator can mend (a setting, a port, a checkpoint) ends the process with one line
    and exit code 1; a failure of our own ends it with its traceback.
    """
    try:
        settings = load(settings_type, prefix)
        configure_logging(settings.log_format, settings.log_level)
    except (SettingsError, ValueError) as error:
        sys.exit(str(error))
    try:
        service = prefix.lower().replace("_", "-")
        BUILD.labels(service, __version__).set(1)
        if settings.otlp_endpoint is not None:
            tracing.begin(service, __version__, settings.otlp_endpoint, settings.trace_ratio)
        serve_metrics(settings.metrics_host, settings.metrics_port)
        asyncio.run(main(settings))
    except (OSError, ValueError, RuntimeError) as error:
        mendable = isinstance(error, OSError | ValueError)
        logger.critical("%s", error, exc_info=not mendable)
        sys.exit(1)
