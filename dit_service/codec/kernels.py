# mypy: disable-error-code="no-untyped-def, untyped-decorator, misc"
"""Convolutions over sound as matrix products, in Triton.

A kernel reads the taps of its rows once, and does in registers what follows: bias, residual, Snake. Snake's
output is written beside the plain one, as it is what the next convolution reads seven times.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from dit_service.codec.convolution import Convolution, Inner, Snake

MOST_TRIED = 3
"""Sizes of blocks that are tried for a kind of convolution, and the smallest that there is."""


@triton.jit
def _snake(x, a, inverse_b):
    """`x + sin(pi a x)^2 / b`. The square's period is 1, so the angle is brought within half of it."""
    turns = x * a
    # Adding and taking away 1.5 * 2^23 rounds to a whole number.
    turns -= (turns + 12582912.0) - 12582912.0
    square = turns * turns
    # The best polynomial of its degree, within 1.6e-6.
    series = -29.642564 + square * 10.95223
    series = 42.6862249 + square * series
    series = -32.468391 + square * series
    series = 9.86959792 + square * series
    return x + inverse_b * square * series


def _configurations() -> list[triton.Config]:
    """Sizes of blocks that have been best somewhere; the last ones need little shared memory.

    Of those of four warps two or three programs share a processor: one computes while another stores.
    """
    blocks = (
        *((256, 128, 64, 8, 4), (128, 256, 64, 8, 3), (128, 128, 64, 4, 3)),
        *((128, 16, 64, 4, 3), (64, 128, 32, 4, 3), (64, 64, 32, 4, 3)),
        *((64, 16, 16, 4, 3), (64, 32, 32, 4, 3)),
    )
    return [
        triton.Config({"BLOCK_M": m, "BLOCK_N": n, "BLOCK_K": k}, num_warps=warps, num_stages=stages)
        for m, n, k, warps, stages in blocks
    ]


def _fitting(
    configurations: list[triton.Config], told: dict[str, Any], **kinds: Any
) -> list[triton.Config]:
    """Blocks that divide what a kernel is told to work on; the widest of them, and the smallest."""
    columns, channels = told["columns"], told["channels"]
    fitting = []
    for one in configurations:
        block = one.kwargs
        whole = columns == block["BLOCK_N"] if kinds["INNER"] else columns % block["BLOCK_N"] == 0
        few = columns < 16 and block["BLOCK_N"] == 16
        deep = channels % block["BLOCK_K"] == 0 if kinds["WHOLE_DEPTH"] else block["BLOCK_K"] == 16
        if (whole or few) and deep:
            fitting.append(one)
    return fitting[:MOST_TRIED] + fitting[MOST_TRIED:][-1:]


@triton.autotune(
    _configurations(),
    key=["columns", "channels", "taps", "INNER"],
    prune_configs_by={"early_config_prune": _fitting},
    do_bench=lambda call, quantiles: triton.testing.do_bench(call, warmup=5, rep=20, quantiles=quantiles),
    cache_results=True,
)
@triton.jit(do_not_specialize=["taps", "channels", "rows", "size"])  # built once, whatever the length
def _convolve(
    x,
    size,
    weight,
    bias,
    inner_a,
    inner_b,
    inner_weight,
    inner_bias,
    residual,
    plain,
    active,
    active_a,
    active_b,
    rows,
    columns,
    channels,
    depth,
    taps,
    row,
    tap,
    offset,
    WHOLE_DEPTH: tl.constexpr,
    WHOLE_COLUMNS: tl.constexpr,
    BIASED: tl.constexpr,
    INNER: tl.constexpr,
    RESIDUAL: tl.constexpr,
    PLAIN: tl.constexpr,
    ACTIVE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    across = (columns + BLOCK_N - 1) // BLOCK_N
    steps = (depth + BLOCK_K - 1) // BLOCK_K
    program = tl.program_id(0)
    # Large numbers are added to pointers once: what differs within a program is small.
    first = (program // across).to(tl.int64) * BLOCK_M
    m = tl.arange(0, BLOCK_M)
    n = (program % across) * BLOCK_N + tl.arange(0, BLOCK_N)
    k = tl.arange(0, BLOCK_K)
    begin = first * row + offset
    x += begin
    in_column = n < columns
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    weight += k[:, None] * columns + n[None, :]
    for step in range(taps * steps):
        # All taps of some channels, then of the next: nearly the same rows, still in the cache.
        channel, place = step // taps, step % taps
        places = m * row + place * tap + channel * BLOCK_K
        if WHOLE_DEPTH:
            # So much of a stretch lies within the sound or outside of it, never across its ends.
            heard = ((begin + places >= 0) & (begin + places < size))[:, None]
            part = tl.load(x + (places[:, None] + k[None, :]), mask=heard, other=0.0)
        else:
            every = places[:, None] + k[None, :]
            heard = (begin + every >= 0) & (begin + every < size) & (k < depth)[None, :]
            part = tl.load(x + every, mask=heard, other=0.0)
        factors = weight + (place * steps + channel) * BLOCK_K * columns
        if WHOLE_COLUMNS:
            factor = tl.load(factors)
        else:
            factor = tl.load(factors, mask=in_column[None, :], other=0.0)
        total = tl.dot(part, factor, total)
    if BIASED:
        total += tl.load(bias + n, mask=in_column, other=0.0)[None, :]
    if INNER:
        hidden = _snake(total, tl.load(inner_a + n)[None, :], tl.load(inner_b + n)[None, :])
        square = tl.load(inner_weight + tl.arange(0, BLOCK_N)[:, None] * columns + n[None, :])
        total = tl.dot(hidden.to(square.dtype), square)
        total += tl.load(inner_bias + n)[None, :]
    places = m[:, None] * columns + n[None, :]
    inside = (first + m < rows)[:, None] & in_column[None, :]
    begin = first * columns
    if RESIDUAL:
        total += tl.load(residual + begin + places, mask=inside, other=0.0).to(tl.float32)
    if PLAIN:
        tl.store(plain + begin + places, total.to(plain.dtype.element_ty), mask=inside)
    if ACTIVE:
        a = tl.load(active_a + n, mask=in_column, other=0.0)[None, :]
        b = tl.load(active_b + n, mask=in_column, other=0.0)[None, :]
        tl.store(active + begin + places, _snake(total, a, b).to(active.dtype.element_ty), mask=inside)


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
    """As that of `dit_service.codec.convolution`."""
    taps, columns = convolution.taps, convolution.columns
    summed = None if plain is None else torch.empty(rows, columns, device=x.device, dtype=plain)
    turned = None if active is None else torch.empty(rows, columns, device=x.device, dtype=x.dtype)
    none = x  # a pointer that is not followed

    def grid(chosen: dict[str, int]) -> tuple[int]:
        return (triton.cdiv(rows, chosen["BLOCK_M"]) * triton.cdiv(columns, chosen["BLOCK_N"]),)

    _convolve[grid](
        x,
        x.numel(),
        convolution.weight,
        none if convolution.bias is None else convolution.bias,
        none if inner is None else inner.snake.a,
        none if inner is None else inner.snake.inverse_b,
        none if inner is None else inner.weight,
        none if inner is None else inner.bias,
        none if residual is None else residual,
        none if summed is None else summed,
        none if turned is None else turned,
        none if active is None else active.a,
        none if active is None else active.inverse_b,
        rows,
        columns,
        taps.channels,
        taps.depth,
        taps.count,
        taps.row,
        taps.tap,
        taps.offset,
        WHOLE_DEPTH=taps.channels % 16 == 0,
        WHOLE_COLUMNS=columns % 16 == 0,
        BIASED=convolution.bias is not None,
        INNER=inner is not None,
        RESIDUAL=residual is not None,
        PLAIN=plain is not None,
        ACTIVE=active is not None,
    )
    return summed, turned
