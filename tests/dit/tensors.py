"""Tensors that tests draw, and how far one is from another."""

import torch
from torch import Tensor


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def far(found: Tensor, truth: Tensor) -> float:
    return float((found.float() - truth).norm() / truth.norm())
