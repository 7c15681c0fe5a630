# mypy: disable-error-code="no-untyped-def, untyped-decorator, misc"
"""Attention within the rows of a packed sequence, in Triton.

One pass over the keys with a running maximum, as flash attention does it; blocks of keys that no query
of a program hears are not read, and only those that some do not hear are masked.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2_E = 1.4426950408889634
CROWD = 1024
"""More queries than these keep a GPU busy in large blocks; fewer are better cut into small ones."""


@triton.jit
def _heard(
    total, sums, peaks, queries, keys, values, key_step, value_step, places, first, last, length, scale,
    REACH: tl.constexpr, MASKED: tl.constexpr, BLOCK_N: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Take in the keys from `first` to `last`, in blocks."""
    n = tl.arange(0, BLOCK_N)
    d = tl.arange(0, WIDTH)
    for at in range(first, last, BLOCK_N):
        here = at + n
        if MASKED:
            there = (here < length)[:, None]
            near = tl.load(keys + here[:, None] * key_step + d[None, :], mask=there, other=0.0)
            told = tl.load(values + here[:, None] * value_step + d[None, :], mask=there, other=0.0)
        else:
            near = tl.load(keys + here[:, None] * key_step + d[None, :])
            told = tl.load(values + here[:, None] * value_step + d[None, :])
        scores = tl.dot(queries, near.T) * scale
        if MASKED:
            heard = (here < length)[None, :]
            if REACH >= 0:
                apart = places[:, None] - here[None, :]
                heard = heard & (apart <= REACH) & (apart >= -REACH)
            scores = tl.where(heard, scores, -1.0e30)
        higher = tl.maximum(peaks, tl.max(scores, 1))
        weights = tl.exp2(scores - higher[:, None])
        kept = tl.exp2(peaks - higher)
        sums = sums * kept + tl.sum(weights, 1)
        total = total * kept[:, None]
        total = tl.dot(weights.to(told.dtype), told, total)
        peaks = higher
    return total, sums, peaks


def _configurations() -> list[triton.Config]:
    """Sizes of blocks that have been best somewhere: for few and many queries, and less shared memory."""
    blocks = ((128, 128, 8, 2), (128, 64, 8, 3), (64, 64, 4, 3), (64, 64, 4, 2))
    return [
        triton.Config({"BLOCK_M": m, "BLOCK_N": n}, num_warps=warps, num_stages=stages)
        for m, n, warps, stages in blocks
    ]


@triton.autotune(
    _configurations(),
    key=["REACH", "NORMED", "crowd"],
    do_bench=lambda call, quantiles: triton.testing.do_bench(call, warmup=5, rep=20, quantiles=quantiles),
    cache_results=True,
)
@triton.jit(do_not_specialize=["crowd"])
def _attend(
    queries, keys, values, mixed, norm, asking, heard,
    query_step, key_step, value_step, scale, epsilon, crowd,
    HEADS: tl.constexpr, SHARED: tl.constexpr, WIDTH: tl.constexpr, REACH: tl.constexpr,
    NORMED: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    head, row = tl.program_id(1), tl.program_id(2)
    start, end = tl.load(asking + row), tl.load(asking + row + 1)
    first = tl.program_id(0) * BLOCK_M
    if first < end - start:
        begins = tl.load(heard + row)
        length = tl.load(heard + row + 1) - begins
        places = first + tl.arange(0, BLOCK_M)
        d = tl.arange(0, WIDTH)
        asked = (places < end - start)[:, None]
        where = (start + places).to(tl.int64)[:, None]
        question = tl.load(queries + where * query_step + head * WIDTH + d[None, :], mask=asked, other=0.0)
        if NORMED:
            wide = question.to(tl.float32)
            size = tl.rsqrt(tl.sum(wide * wide, 1) / WIDTH + epsilon)
            question = (wide * size[:, None] * tl.load(norm + d)[None, :].to(tl.float32)).to(question.dtype)
        keys += begins.to(tl.int64) * key_step + (head // SHARED) * WIDTH
        values += begins.to(tl.int64) * value_step + (head // SHARED) * WIDTH
        total = tl.zeros((BLOCK_M, WIDTH), dtype=tl.float32)
        sums = tl.zeros((BLOCK_M,), dtype=tl.float32)
        peaks = tl.full((BLOCK_M,), -1.0e30, dtype=tl.float32)
        if REACH >= 0:
            lowest = tl.maximum(first - REACH, 0) // BLOCK_N * BLOCK_N
            highest = tl.minimum(first + BLOCK_M + REACH, length)
            total, sums, peaks = _heard(
                total, sums, peaks, question, keys, values, key_step, value_step, places, lowest, highest,
                length, scale, REACH, True, BLOCK_N, WIDTH,
            )  # fmt: skip
        else:
            whole = length // BLOCK_N * BLOCK_N
            total, sums, peaks = _heard(
                total, sums, peaks, question, keys, values, key_step, value_step, places, 0, whole,
                length, scale, REACH, False, BLOCK_N, WIDTH,
            )  # fmt: skip
            total, sums, peaks = _heard(
                total, sums, peaks, question, keys, values, key_step, value_step, places, whole, length,
                length, scale, REACH, True, BLOCK_N, WIDTH,
            )  # fmt: skip
        total = total / sums[:, None]
        out = mixed + where * (HEADS * WIDTH) + head * WIDTH + d[None, :]
        tl.store(out, total.to(mixed.dtype.element_ty), mask=asked)


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, norm: Tensor | None, epsilon: float,
    asking: Tensor, heard: Tensor, longest: int, reach: int,
) -> Tensor:  # fmt: skip
    """As the operator of `dit_service.network.attention`; beyond the last row nothing is written."""
    heads, width = queries.shape[1:]
    rows = len(asking) - 1
    mixed = torch.empty(queries.shape, device=queries.device, dtype=queries.dtype)

    def grid(chosen: dict[str, int]) -> tuple[int, int, int]:
        return triton.cdiv(longest, chosen["BLOCK_M"]), heads, rows

    _attend[grid](
        queries, keys, values, mixed, queries if norm is None else norm, asking, heard,
        queries.stride(0), keys.stride(0), values.stride(0), width**-0.5 * LOG2_E, epsilon,
        int(len(queries) > CROWD),
        HEADS=heads, SHARED=heads // keys.shape[1], WIDTH=width, REACH=reach, NORMED=norm is not None,
    )  # fmt: skip
    return mixed
