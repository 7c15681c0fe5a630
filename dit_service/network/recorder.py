"""Work of a GPU that the host starts with one call."""

from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")


class Recorder:
    """Records work as CUDA graphs. They share their memory: only one may be at work at a time."""

    def __init__(self, device: torch.device) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)

    def record(self, work: Callable[[], T]) -> tuple[torch.cuda.CUDAGraph, T]:
        """A graph, and what `work` returns, which each replay writes anew; it must have run before."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
            found = work()
        return graph, found
