"""Attention within the rows of a packed sequence: no row hears another, and nothing is padded.

Source: spec dit.md 1.6 (windows).
"""

import logging
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from subprocess import CalledProcessError
from typing import Optional

import torch
from torch import Tensor
from torch.nn import functional

logger = logging.getLogger(__name__)

BLOCK = 128
"""Queries that share a stretch of keys where a window is cut out block by block."""
KERNEL_KINDS = (torch.bfloat16, torch.float16)
KERNEL_WIDTHS = (16, 32, 64, 128)
EVERYWHERE = -1
"""The reach of attention without a window, as the operators tell it."""


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Where rows lie in a packed sequence. What lies beyond the last row is heard by none."""

    edges: Tensor
    """Start of each row, and the end of the last: `[rows + 1]` int32, on the device."""
    longest: int
    """Tokens of the longest row, or more."""


@lru_cache(maxsize=128)
def spans(lengths: tuple[int, ...], device: torch.device) -> Spans:
    """Kept from step to step: a batch rarely changes, and a device must not wait for the host."""
    edges = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    return Spans(edges.to(device), max(lengths))


def attend(  # noqa: PLR0913, PLR0917
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    asking: Spans,
    heard: Spans,
    window: int | None = None,
    norm: Tensor | None = None,
    epsilon: float = 0.0,
) -> Tensor:
    """What each row of `asking` hears in its row of `heard`: `[tokens, heads, width]`, as `queries`.

    `keys` and `values` are `[tokens, key heads, width]`; a group of heads shares each. With a
    `window` a token hears so many to either side, and itself. With a `norm` `[width]` the queries are
    normed first. What tokens beyond the last row hear is undefined.
    """
    reach = EVERYWHERE if window is None else window
    mixed: Tensor = _attend(
        queries, keys, values, norm, epsilon, asking.edges, heard.edges, asking.longest, reach
    )
    return mixed


@lru_cache(maxsize=1)
def why_no_kernels() -> str | None:
    """What keeps this machine from building kernels; `None` if it can. Triton needs a C compiler for it."""
    try:
        from dit_service.network.trial import build  # noqa: PLC0415

        build()
    except torch.OutOfMemoryError:
        raise  # it says nothing of kernels
    except (ImportError, RuntimeError, OSError, CalledProcessError) as error:
        logger.warning("attention is computed without kernels of our own, and slower: %s", error)
        return str(error)
    return None


# An operator of its own: to the compiler one step, whatever computes it, and however many rows there are.
@torch.library.custom_op("acestep::attend", mutates_args=())
def _attend(  # noqa: PLR0913, PLR0917
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    norm: Optional[Tensor],  # noqa: UP045  # what torch 2.11 reads
    epsilon: float,
    asking: Tensor,
    heard: Tensor,
    longest: int,
    reach: int,
) -> Tensor:
    fits = queries.dtype in KERNEL_KINDS and queries.shape[-1] in KERNEL_WIDTHS
    if queries.is_cuda and fits and why_no_kernels() is None:
        # Its kernels are in a language that only torch for GPUs comes with.
        from dit_service.network import kernels  # noqa: PLC0415

        return kernels.attend(queries, keys, values, norm, epsilon, asking, heard, longest, reach)
    if norm is not None:
        queries = functional.rms_norm(queries, norm.shape, norm, epsilon)
    mixed = torch.zeros(queries.shape, device=queries.device, dtype=queries.dtype)
    for (start, end), (first, last) in zip(
        pairwise(asking.tolist()), pairwise(heard.tolist()), strict=True
    ):
        if end > start:
            near, told = keys[first:last], values[first:last]
            mixed[start:end] = _row(queries[start:end], near, told, None if reach < 0 else reach)
    return mixed


@_attend.register_fake
def _(queries: Tensor, *_: object) -> Tensor:
    return torch.empty(queries.shape, device=queries.device, dtype=queries.dtype)


def _row(queries: Tensor, keys: Tensor, values: Tensor, window: int | None) -> Tensor:
    """One row: `[tokens, heads, width]` and `[tokens, key heads, width]`."""
    shared = queries.shape[1] // keys.shape[1]
    queries, keys, values = (
        heads.transpose(0, 1)
        for heads in (queries, keys.repeat_interleave(shared, 1), values.repeat_interleave(shared, 1))
    )
    if window is None or keys.shape[1] <= window + 1:
        mixed = functional.scaled_dot_product_attention(queries[None], keys[None], values[None])[0]
    else:
        mixed = _banded(queries, keys, values, window)
    return mixed.transpose(0, 1)


def _banded(queries: Tensor, keys: Tensor, values: Tensor, window: int) -> Tensor:
    """A window of attention in blocks `[heads, tokens, width]`: only keys near a block are read."""
    heads, length, width = queries.shape
    blocks = -(-length // BLOCK)
    filled = blocks * BLOCK - length
    asked = functional.pad(queries, (0, 0, 0, filled)).view(heads, blocks, BLOCK, width).transpose(0, 1)
    near = [
        functional.pad(side, (0, 0, window, window + filled))
        .unfold(1, BLOCK + 2 * window, BLOCK)
        .permute(1, 0, 3, 2)
        for side in (keys, values)
    ]
    mask = _band(length, window, queries.device)
    mixed = functional.scaled_dot_product_attention(asked, near[0], near[1], attn_mask=mask)
    return mixed.transpose(0, 1).reshape(heads, blocks * BLOCK, width)[:, :length]


@lru_cache(maxsize=16)
def _band(length: int, window: int, device: torch.device) -> Tensor:
    """Which of the keys near its block a query hears, `[blocks, 1, block, keys]`."""
    blocks = -(-length // BLOCK)
    query = torch.arange(blocks * BLOCK, device=device).view(blocks, BLOCK, 1)
    key = torch.arange(BLOCK + 2 * window, device=device) - window
    key = key + BLOCK * torch.arange(blocks, device=device)[:, None, None]
    heard = ((query - key).abs() <= window) & (key >= 0) & (key < length)
    # Queries that only fill the last block hear anything: a softmax over nothing is not a number.
    return (heard | (query >= length))[:, None]
