"""Many songs: composed one after the other, rendered many at once where the networks train."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.pool import AsyncResult, Pool

import torch
from torch import Tensor

from training.compose import compose
from training.marks import Marks, marks
from training.song import Song
from training.synth import Synth

TRAINING_SEEDS = 1_000_000
"""Training songs count up from here; smaller seeds are never trained on."""


AHEAD = 32
"""Groups that are composed before they are asked for."""

Group = list[tuple[Song, Marks]]


def composers(workers: int) -> Pool:
    """Processes that compose. To be made before a GPU is touched, which forked processes must not share."""
    return get_context("fork").Pool(workers)


def composed(first_seed: int, count: int, duration_s: float) -> Group:
    return [(song, marks(song)) for song in (compose(first_seed + i, duration_s) for i in range(count))]


def groups(
    first_seed: int, sizes: Iterable[tuple[int, float]], pool: Pool | None = None
) -> Iterator[Group]:
    """Groups of songs of one length each, with a pool composed ahead; `sizes` are counts and seconds."""
    seed, waiting = first_seed, deque[AsyncResult[Group]]()
    for count, duration_s in sizes:
        if pool is None:
            yield composed(seed, count, duration_s)
        else:
            waiting.append(pool.apply_async(composed, (seed, count, duration_s)))
            if len(waiting) > AHEAD:
                yield waiting.popleft().get()
        seed += count
    while waiting:
        yield waiting.popleft().get()


def rendered(synth: Synth, songs: Sequence[Song], at_once: int = 8) -> Iterator[Tensor]:
    """Stems `[songs, tracks, 2, samples]`, `at_once` songs at a time."""
    for start in range(0, len(songs), at_once):
        with torch.no_grad():
            yield synth.stems(songs[start : start + at_once])
