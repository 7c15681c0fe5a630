"""Convolutions over sound as matrix products.

Sound lies as `[time, channels]`, so what any convolution of the codec reads for one output row, dilated,
strided or transposed, is a few stretches of memory: its taps.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FUSED_COLUMNS = (16, 32, 64, 128)
"""Of convolutions that an inner product may follow: one program has all columns."""


@dataclass(frozen=True, slots=True)
class Snake:
    """`x + sin(pi a x)^2 / b`, for each column."""

    a: Tensor
    """`[columns]` float32."""
    inverse_b: Tensor
    """`[columns]` float32."""


@dataclass(frozen=True, slots=True)
class Taps:
    """What an output row reads of a sound: `count` stretches of `depth` numbers.

    The stretches of row `m` begin at `m * row + tap * (its place) + offset`; what lies outside of the
    sound is silence.
    """

    channels: int
    """Of the sound: so much of a stretch is heard or not as a whole."""
    row: int
    tap: int
    offset: int
    count: int
    depth: int


@dataclass(frozen=True, slots=True)
class Convolution:
    taps: Taps
    weight: Tensor
    """`[count * depth, columns]`."""
    bias: Tensor | None
    """`[columns]` float32."""

    @property
    def columns(self) -> int:
        return self.weight.shape[1]


@dataclass(frozen=True, slots=True)
class Inner:
    """A Snake and a product that follow a convolution in the same registers."""

    snake: Snake
    weight: Tensor
    """`[columns, columns]`."""
    bias: Tensor


def convolve(
    x: Tensor,
    convolution: Convolution,
    rows: int,
    *,
    inner: Inner | None = None,
    residual: Tensor | None = None,
    plain: torch.dtype | None = None,
    active: Snake | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """`rows` of a convolution over `x` `[time, channels]`: the sum itself, and its Snake.

    Each is `[rows, columns]`, or `None` unless asked for: by the type in which the sum is `plain`,
    and by the `active` Snake. `residual` `[rows, columns]` is added first.
    """
    if x.is_cuda:
        # Its kernels are in a language that only torch for GPUs comes with.
        from dit_service.codec import kernels  # noqa: PLC0415

        return kernels.convolve(
            x, convolution, rows, inner=inner, residual=residual, plain=plain, active=active
        )
    total = _product(x, convolution, rows)
    if inner is not None:
        total = _turned(total, inner.snake) @ inner.weight.float() + inner.bias
    if residual is not None:
        total = total + residual
    return (
        None if plain is None else total.to(plain),
        None if active is None else _turned(total, active).to(x.dtype),
    )


def _product(x: Tensor, convolution: Convolution, rows: int) -> Tensor:
    """`[rows, columns]` float32, by every number that a row reads: for any device, and slow."""
    taps = convolution.taps
    places = (
        taps.offset
        + taps.row * torch.arange(rows)[:, None, None]
        + taps.tap * torch.arange(taps.count)[:, None]
        + torch.arange(taps.depth)
    ).flatten(1)
    heard = (places >= 0) & (places < x.numel())
    parts = torch.where(heard, x.flatten()[places.clamp(0, x.numel() - 1)], 0.0)
    product = parts.float() @ convolution.weight[: places.shape[1]].float()
    return product if convolution.bias is None else product + convolution.bias


def _turned(x: Tensor, snake: Snake) -> Tensor:
    return x + (math.pi * snake.a * x).sin() ** 2 * snake.inverse_b
