"""From scores to one token per request. Knows tensors, no engine.

The order is the contract's: guidance, mask, repetition penalty, temperature, top-k, top-p, draw.
A request's draw depends on its scores, its seed and its step alone: not on the batch around it,
its place there, or whether it was preempted on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

CANDIDATES = 1024
"""On a CPU, filters look at this many best tokens first, and sort all only if that cannot decide."""


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
    """Nested numbers as a tensor on `device`, without waiting for what the device is doing."""
    return pinned(torch.tensor(values, dtype=dtype), device).to(device, non_blocking=True)


def pinned(made: Tensor, device: torch.device) -> Tensor:
    """`made`, on the host, where `device` can fetch it from while the host goes on."""
    return made.pin_memory() if device.type == "cuda" else made


def drawn(
    scores: Tensor, tokens: Tensor, draws: Sequence[Draw], candidate_count: int = CANDIDATES
) -> Tensor:
    """Choose a column for each row: int64 `[rows]`.

    `scores` is float32 `[rows, columns]`, minus infinity where a token is not allowed; NaN counts as
    that. `tokens` is int64 `[columns]` or `[rows, columns]`: which token each column stands for.
    """
    settings = settings_of(tuple(draw.sampling for draw in draws), scores.device)
    keys = pinned(keys_of(draws), scores.device).to(scores.device, non_blocking=True)
    return drawn_by(scores, tokens, settings, keys, candidate_count)


def drawn_by(
    scores: Tensor, tokens: Tensor, settings: "Settings", keys: Tensor, candidate_count: int = CANDIDATES
) -> Tensor:
    """As `drawn`, of tensors alone: on a GPU nothing here waits for the host or depends on values.

    `keys` are those of `keys_of`, on the device of `scores`.
    """
    scores = scores.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    if settings.all_greedy:
        return scores.argmax(-1)
    columns, candidates = _survivors(scores / settings.temperature, settings, candidate_count)
    names = tokens.expand_as(scores).gather(-1, columns) if columns is not None else tokens
    # The highest of score plus Gumbel noise is a draw from the softmax.
    won = (candidates + _gumbel_noise(names, keys)).argmax(-1, keepdim=True)
    chosen = (columns.gather(-1, won) if columns is not None else won)[:, 0]
    if not settings.any_greedy:
        return chosen
    return torch.where(settings.greedy, scores.argmax(-1), chosen)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a batch, on the device: all `[rows, 1]` but `greedy`, `[rows]`."""

    temperature: Tensor
    """1 for greedy rows."""
    top_k: Tensor
    top_p: Tensor
    greedy: Tensor
    all_greedy: bool
    any_greedy: bool
    any_top_k: bool
    any_top_p: bool
    filtered_count: int
    """Rows with top-k or top-p."""


def threshold(best: Tensor, settings: Settings, total: Tensor | None) -> Tensor:
    """The lowest score that the filters keep, `[rows, 1]`; ties with it are kept too.

    `best` `[rows, n]` are the highest scores in falling order. `total` `[rows, 1]` is the logarithm
    of the summed exponentials of all scores, None if `best` are all of them. Top-p works on what
    top-k keeps: a token is dropped when the share of all tokens before it already exceeds `top_p`,
    so the first one always stays. Source: spec lm.md 4.2.
    """
    lowest = best.new_full((len(best), 1), -torch.inf)
    if settings.any_top_k:
        places = (settings.top_k - 1).clamp(0, best.shape[-1] - 1)
        filtered = settings.top_k > 0
        lowest = torch.where(filtered, best.gather(-1, places), lowest)
        best = best.masked_fill(best < lowest, -torch.inf)
        if total is not None:
            total = torch.where(filtered, best.logsumexp(-1, keepdim=True), total)
    if settings.any_top_p:
        share = best.softmax(-1) if total is None else (best - total).exp()
        # float64: how a sum is split over the device must not decide a token.
        before = share.cumsum(-1, dtype=torch.float64) - share
        last = ((before <= settings.top_p) & (best > -torch.inf)).sum(-1, keepdim=True).clamp_min(1) - 1
        by_p = best.gather(-1, last).masked_fill(settings.top_p >= 1, -torch.inf)
        lowest = torch.maximum(lowest, by_p)
    return lowest


@lru_cache(maxsize=64)
def settings_of(samplings: tuple[Sampling, ...], device: torch.device) -> Settings:
    """Kept, as a batch stays the same for many steps and each tensor costs a copy to the device."""
    greedy = [item.temperature == 0 for item in samplings]
    return Settings(
        temperature=uploaded([[item.temperature or 1.0] for item in samplings], device),
        top_k=uploaded([[item.top_k] for item in samplings], device),
        top_p=uploaded([[item.top_p] for item in samplings], device),
        greedy=uploaded(greedy, device),
        all_greedy=all(greedy),
        any_greedy=any(greedy),
        any_top_k=any(item.top_k for item in samplings),
        any_top_p=any(item.top_p < 1 for item in samplings),
        filtered_count=sum(bool(item.top_k or item.top_p < 1) for item in samplings),
    )


def _survivors(scores: Tensor, settings: Settings, candidate_count: int) -> tuple[Tensor | None, Tensor]:
    """Columns of the candidates and their scores, those filtered away minus infinity.

    Columns are None if they are those of `scores`.
    """
    if not settings.filtered_count:
        return None, scores
    if scores.is_cuda:
        # Sorting is cheap there; asking whether it is needed would wait for the device.
        best, _ = scores.sort(-1, descending=True)
        return None, scores.masked_fill(scores < threshold(best, settings, None), -torch.inf)
    total = scores.logsumexp(-1, keepdim=True)
    # A row without filters needs every token in the race; only then, or if what is kept may reach
    # beyond the first candidates (ties, a flat distribution), everything is sorted.
    width = scores.shape[-1]
    first = width if settings.filtered_count < len(scores) else min(candidate_count, width)
    best, columns = scores.topk(first)
    lowest = threshold(best, settings, total)
    if first < width and bool((best[:, -1:] >= lowest).any()):
        best, columns = scores.topk(width)
        lowest = threshold(best, settings, total)
    return columns, best.masked_fill(best < lowest, -torch.inf)


def _gumbel_noise(tokens: Tensor, keys: Tensor) -> Tensor:
    """Noise of each row's tokens, float32, in the shape of `tokens` with a row per key.

    A hash of seed, step and token, so a token has the same noise wherever it stands. 24 bits: no
    token less likely than about 1 in 10 million is ever drawn.
    """
    bits = _mixed(tokens * -7046029254386353131 + keys)
    uniform = ((bits >> 40) & 0xFFFFFF).to(torch.float32).add_(0.5).mul_(2.0**-24)
    return uniform.log_().neg_().log_().neg_()


def keys_of(draws: Sequence[Draw]) -> Tensor:
    """A number for each seed and step, int64 `[rows, 1]` on the host. Source: SplitMix64's finaliser."""
    seeds = np.array([[draw.sampling.seed] for draw in draws], np.uint64)
    steps = np.array([[draw.step] for draw in draws], np.uint64)
    words = seeds * np.uint64(0x9E3779B97F4A7C15) + steps * np.uint64(0xD1B54A32D192ED03)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return torch.from_numpy((words ^ (words >> np.uint64(31))).view(np.int64))


def _mixed(words: Tensor) -> Tensor:
    """SplitMix64's finaliser over int64, whose products wrap around.

    Its last step is left out: it changes only bits below the 24 that are used.
    """
    words = (words ^ ((words >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    return (words ^ ((words >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
