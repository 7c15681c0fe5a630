"""How much of the device's memory is taken, asked of it whenever Prometheus comes."""

from collections.abc import Iterator, Mapping

import torch
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

KINDS = ("allocated", "peak", "reserved", "device_used", "device_total")
"""Tensors now, and at most so far; what torch holds for them; what all processes hold; what there is."""


class MemoryCollector(Collector):
    def __init__(self, device: torch.device) -> None:
        self._device = device

    def collect(self) -> Iterator[Metric]:
        free, total = torch.cuda.mem_get_info(self._device)
        now, peak = torch.cuda.memory_allocated(self._device), torch.cuda.max_memory_allocated(self._device)
        reserved = torch.cuda.memory_reserved(self._device)
        yield from families(dict(zip(KINDS, (now, peak, reserved, total - free, total), strict=True)))


def families(bytes_by_kind: Mapping[str, int]) -> Iterator[Metric]:
    memory = GaugeMetricFamily(
        "acestep_dit_device_memory_bytes",
        "Memory of the GPU: tensors, their peak, what torch reserved, what is used in all, what there is.",
        labels=["kind"],
    )
    for kind, size in bytes_by_kind.items():
        memory.add_metric([kind], size)
    yield memory


def watch(device_name: str) -> None:
    """Show it to Prometheus, if the device has memory of its own."""
    device = torch.device(device_name)
    if device.type == "cuda":
        REGISTRY.register(MemoryCollector(device))
