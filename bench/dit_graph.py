"""A pass as a CUDA graph, for benches: what is left when the host has nothing to do."""

import torch

from dit_service.network.transformer import DiffusionTransformer, Packed


class Captured:
    """`flow` over one `packed`, recorded."""

    def __init__(self, network: DiffusionTransformer, packed: Packed) -> None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # what is set up or compiled at a first run must not be recorded
                network.flow(packed)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self.velocities = network.flow(packed)

    def replay(self) -> None:
        self._graph.replay()
