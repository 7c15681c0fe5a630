"""Attention within the rows of a packed sequence: no row hears another, and nothing is padded.

Source: spec dit.md 1.6 (windows).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 128
"""Queries that share a stretch of keys where a window is cut out block by block."""
FLASH_KINDS = (torch.bfloat16, torch.float16)
MAX_FLASH_WIDTH = 256


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Where rows lie in a packed sequence."""

    lengths: tuple[int, ...]
    edges: Tensor
    """Start of each row, and the end of the last: `[rows + 1]` int32, on the device."""

    @property
    def longest(self) -> int:
        return max(self.lengths)


@lru_cache(maxsize=128)
def spans(lengths: tuple[int, ...], device: torch.device) -> Spans:
    """Kept from step to step: a batch rarely changes, and a device must not wait for the host."""
    edges = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    return Spans(lengths, edges.to(device))


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, asking: Spans, heard: Spans, window: int | None = None
) -> Tensor:
    """What each row of `asking` hears in its row of `heard`: `[tokens, heads, width]`, as `queries`.

    `keys` and `values` are `[tokens, key heads, width]`; a group of heads shares each. With a
    `window` a token hears so many to either side, and itself.
    """
    if queries.is_cuda and queries.dtype in FLASH_KINDS and queries.shape[-1] <= MAX_FLASH_WIDTH:
        return _flash(queries, keys, values, asking, heard, window)
    asked = torch.split(queries, list(asking.lengths))
    near, told = (torch.split(side, list(heard.lengths)) for side in (keys, values))
    return _together([_row(*row, window) for row in zip(asked, near, told, strict=True)])


def _flash(
    queries: Tensor, keys: Tensor, values: Tensor, asking: Spans, heard: Spans, window: int | None
) -> Tensor:
    # The operator itself: its public wrapper `varlen_attn` takes other arguments in each torch.
    reach = -1 if window is None else window
    mixed: Tensor = torch.ops.aten._flash_attention_forward(
        queries,
        keys,
        values,
        asking.edges,
        heard.edges,
        asking.longest,
        heard.longest,
        0.0,
        False,
        False,
        window_size_left=reach,
        window_size_right=reach,
    )[0]
    return mixed


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


def _together(rows: Sequence[Tensor]) -> Tensor:
    return rows[0] if len(rows) == 1 else torch.cat(list(rows))
