"""How networks are compiled: each kind of layer once, for sequences of all lengths."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch._dynamo
import torch.fx.experimental._config
from torch import nn

VARIANTS = 64
"""That a layer may be compiled in: with a window or without, guided or not, for each size of model."""
# Made once: each leaves a variable behind in every context that enters it.
SIZES_ARE_THEIR_OWN = torch.fx.experimental._config.patch(use_duck_shape=False)  # type: ignore[attr-defined]
"""Sizes that happen to be equal in a pass are not so in the next."""
MANY_VARIANTS = torch._dynamo.config.patch(recompile_limit=VARIANTS)


def compiled(layers: Iterable[nn.Module], backend: str) -> None:
    """At their first call, which like all others must be made `for_all_sizes`."""
    for layer in layers:
        layer.compile(dynamic=True, backend=backend)


@contextmanager
def for_all_sizes() -> Iterator[None]:
    """While what is compiled is at work: torch reads its options then, and keeps them by thread."""
    with SIZES_ARE_THEIR_OWN, MANY_VARIANTS:
        yield
