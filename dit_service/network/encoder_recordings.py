"""Encoders that the host only has to start: compiled layers, recorded as CUDA graphs for some lengths.

A sequence is laid where a graph that is long enough reads it; what lies after its end is heard by none.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from dit_service.network.attention import Spans
from dit_service.network.compiling import compiled, for_all_sizes
from dit_service.network.encoder import Encoder
from dit_service.network.recorder import Recorder


class EncoderRecordings:
    """Computes what `encoder` does, of sequences of up to the last of `lengths`."""

    def __init__(
        self, encoder: Encoder, lengths: Sequence[int], recorder: Recorder | None, backend: str = "inductor"
    ) -> None:
        """`backend` is what torch compiles with. There is no `recorder` for want of a GPU."""
        self._encoder, self._lengths = encoder, sorted(lengths)
        device, most = encoder.device, self._lengths[-1]
        self._desk = torch.zeros(most, encoder.sizes.hidden, device=device, dtype=encoder.dtype)
        self._edges = torch.zeros(2, dtype=torch.int32, device=device)
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        compiled(encoder.layers, backend)
        for length in reversed(self._lengths):  # the longest first: the others fit into its memory
            self._edges[1:].fill_(length)
            self._computed(length)  # what is compiled or set up at a first run cannot be recorded
            if recorder is not None:
                self._graphs[length] = recorder.record(partial(self._computed, length))

    def __call__(self, x: Tensor) -> Tensor:
        """`[tokens, hidden]`, as that of the encoder."""
        if len(x) > self._lengths[-1]:
            with for_all_sizes():
                return self._encoder.alone(x)
        length = next(length for length in self._lengths if length >= len(x))
        self._desk[: len(x)].copy_(x)
        self._edges[1:].fill_(len(x))
        if length not in self._graphs:
            return self._computed(length)[: len(x)]
        graph, found = self._graphs[length]
        graph.replay()
        return found[: len(x)].clone()

    def _computed(self, length: int) -> Tensor:
        with for_all_sizes():
            return self._encoder.within(self._desk[:length], Spans(self._edges, length))
