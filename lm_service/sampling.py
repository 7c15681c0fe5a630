"""From scores to one token per request. Knows tensors, no engine.

The order is the contract's: guidance, mask, repetition penalty, temperature, top-k, top-p, draw.
A request's draw depends on its scores, its seed and its step alone: not on the batch around it,
its place there, or whether it was preempted on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

CANDIDATES = 1024
"""On a CPU, filters look at this many best tokens first, and sort all only if that cannot decide."""

_WORD = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the tokens of one request are drawn. All values are valid."""

    temperature: float
    """0 takes the most probable token."""
    top_k: int = 0
    """0 keeps all."""
    top_p: float = 1.0
    """1 keeps all."""
    repetition_penalty: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Draw:
    """What decides one token of one request, besides its scores."""

    sampling: Sampling
    step: int
    """Tokens written before this one."""


def guided(conditional: Tensor, unconditional: Tensor, scale: Tensor) -> Tensor:
    """Scores led away from `unconditional`, all `[rows, tokens]`; `scale` is `[rows, 1]`, neutral at 1."""
    return unconditional + scale * (conditional - unconditional)


def penalised(scores: Tensor, written: Tensor, penalty: float) -> Tensor:
    """`scores` `[tokens]` with those of `written` (indexes into it) made less likely by `penalty`."""
    old = scores[written]
    return scores.index_put((written,), torch.where(old < 0, old * penalty, old / penalty))


def uploaded(values: Sequence[Any], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """`values` as a tensor on `device`, without waiting for what the device is doing."""
    made = torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda")
    return made.to(device, non_blocking=True)


def drawn(
    scores: Tensor, tokens: Tensor, draws: Sequence[Draw], candidate_count: int = CANDIDATES
) -> Tensor:
    """Choose a column for each row: int64 `[rows]`.

    `scores` is float32 `[rows, columns]`, minus infinity where a token is not allowed; NaN counts as
    that. `tokens` is int64 `[columns]` or `[rows, columns]`: which token each column stands for.
    """
    scores = scores.masked_fill(scores.isnan(), -torch.inf)
    settings = _settings(tuple(draw.sampling for draw in draws), scores.device)
    if settings.all_greedy:
        return scores.argmax(-1)
    columns, candidates = _survivors(scores / settings.temperature, settings, candidate_count)
    names = tokens.expand_as(scores).gather(-1, columns) if columns is not None else tokens
    # The highest of score plus Gumbel noise is a draw from the softmax.
    won = (candidates + _gumbel_noise(names, draws)).argmax(-1, keepdim=True)
    chosen = (columns.gather(-1, won) if columns is not None else won)[:, 0]
    if not settings.any_greedy:
        return chosen
    return torch.where(settings.greedy, scores.argmax(-1), chosen)


def threshold(best: Tensor, total: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """The lowest score that the filters keep, `[rows, 1]`; ties with it are kept too.

    `best` `[rows, n]` are the highest scores in falling order, `total` `[rows, 1]` the logarithm of
    the summed exponentials of all scores; `top_k` int64 and `top_p` float32 are `[rows, 1]`, 0 and 1
    where a filter is off. Top-p works on what top-k keeps: a token is dropped when the share of all
    tokens before it already exceeds `top_p`, so the first one always stays. Source: spec lm.md 4.2.
    """
    off = best.new_full((), -torch.inf)
    places = (top_k - 1).clamp(0, best.shape[-1] - 1)
    by_k = torch.where(top_k > 0, best.gather(-1, places), off)
    kept = best.masked_fill(best < by_k, -torch.inf)
    total = torch.where(top_k > 0, kept.logsumexp(-1, keepdim=True), total)
    share = (kept - total).exp()
    before = share.cumsum(-1) - share
    last = ((before <= top_p) & kept.isfinite()).sum(-1, keepdim=True).clamp_min(1) - 1
    by_p = torch.where(top_p < 1, kept.gather(-1, last), off)
    return torch.maximum(by_k, by_p)


@dataclass(frozen=True, slots=True)
class _Settings:
    """The settings of a batch, on the device: all `[rows, 1]` but `greedy`, `[rows]`."""

    temperature: Tensor
    """1 for greedy rows."""
    top_k: Tensor
    top_p: Tensor
    greedy: Tensor
    all_greedy: bool
    any_greedy: bool
    filtered_count: int
    """Rows with top-k or top-p."""


@lru_cache(maxsize=64)
def _settings(samplings: tuple[Sampling, ...], device: torch.device) -> _Settings:
    """Kept, as a batch stays the same for many steps and each tensor costs a copy to the device."""
    greedy = [item.temperature == 0 for item in samplings]
    return _Settings(
        temperature=uploaded([[item.temperature or 1.0] for item in samplings], device),
        top_k=uploaded([[item.top_k] for item in samplings], device),
        top_p=uploaded([[item.top_p] for item in samplings], device),
        greedy=uploaded(greedy, device),
        all_greedy=all(greedy),
        any_greedy=any(greedy),
        filtered_count=sum(bool(item.top_k or item.top_p < 1) for item in samplings),
    )


def _survivors(scores: Tensor, settings: _Settings, candidate_count: int) -> tuple[Tensor | None, Tensor]:
    """Columns of the candidates and their scores, those filtered away minus infinity.

    Columns are None if they are those of `scores`.
    """
    if not settings.filtered_count:
        return None, scores
    top_k, top_p = settings.top_k, settings.top_p
    total = scores.logsumexp(-1, keepdim=True)
    if scores.is_cuda:
        # Sorting is cheap there; asking whether it is needed would wait for the device.
        best, _ = scores.sort(-1, descending=True)
        return None, scores.masked_fill(scores < threshold(best, total, top_k, top_p), -torch.inf)
    # A row without filters needs every token in the race; only then, or if what is kept may reach
    # beyond the first candidates (ties, a flat distribution), everything is sorted.
    width = scores.shape[-1]
    first = width if settings.filtered_count < len(scores) else min(candidate_count, width)
    best, columns = scores.topk(first)
    lowest = threshold(best, total, top_k, top_p)
    if first < width and bool((best[:, -1:] >= lowest).any()):
        best, columns = scores.topk(width)
        lowest = threshold(best, total, top_k, top_p)
    return columns, best.masked_fill(best < lowest, -torch.inf)


def _gumbel_noise(tokens: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Noise of each row's tokens, float32, in the shape of `tokens` with a row per draw.

    A hash of seed, step and token, so a token has the same noise wherever it stands. 24 bits: no
    token less likely than about 1 in 10 million is ever drawn.
    """
    keys = uploaded([[_key(draw)] for draw in draws], tokens.device)
    bits = _mixed(tokens * -7046029254386353131 + keys)
    uniform = ((bits >> 40) & 0xFFFFFF).to(torch.float32).add_(0.5).mul_(2.0**-24)
    return uniform.log_().neg_().log_().neg_()


def _key(draw: Draw) -> int:
    """A signed 64-bit number for this seed and step. Source: the finaliser of SplitMix64."""
    word = (draw.sampling.seed * 0x9E3779B97F4A7C15 + draw.step * 0xD1B54A32D192ED03) & _WORD
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
    word ^= word >> 31
    return word - (1 << 64) if word >> 63 else word


def _mixed(words: Tensor) -> Tensor:
    """SplitMix64's finaliser over int64, whose products wrap around."""
    words = (words ^ ((words >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    words = (words ^ ((words >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return words ^ ((words >> 31) & 0x1FFFFFFFF)
