"""The names of every sample that the services export."""

import asyncio
import importlib
from collections.abc import Iterator, Mapping

from prometheus_client.core import Metric
from prometheus_client.registry import REGISTRY

from lm_service.admission import Admission, Room
from lm_service.metrics import ServiceCollector

MODULES = ("common.telemetry", "gateway.metrics", "lm_service.metrics", "dit_service.metrics")
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


class IdleEngine:
    """What an engine says that has done nothing."""

    def unfinished_count(self) -> int:
        return 0

    def preemption_count(self) -> int:
        return 0

    def running_row_count(self) -> int:
        return 0

    def cache_used_ratio(self) -> float:
        return 0.0

    def mask_counts(self) -> Mapping[str, int]:
        return {}


def samples() -> set[str]:
    return {f"{metric.name}{suffix}" for metric in _metrics() for suffix in SUFFIXES[metric.type]}


def _metrics() -> Iterator[Metric]:
    for module in MODULES:
        importlib.import_module(module)
    yield from (metric for metric in REGISTRY.collect() if metric.name.startswith("acestep_"))

    async def collected() -> list[Metric]:
        return list(ServiceCollector(IdleEngine(), Admission(Room(16, 8192), 64)).collect())

    yield from asyncio.run(collected())
