"""Many songs at once: composed by several processes, rendered where the networks train."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from torch import Tensor

from training.compose import compose
from training.song import Song
from training.synth import Synth

TRAINING_SEEDS = 1_000_000
"""Training songs count up from here; smaller seeds are never trained on."""


def composed(seeds: Sequence[int], duration_s: float, workers: int) -> list[Song]:
    if workers < 2:
        return [compose(seed, duration_s) for seed in seeds]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        lengths = [duration_s] * len(seeds)
        return list(pool.map(compose, seeds, lengths, chunksize=max(1, len(seeds) // (4 * workers))))


def rendered(synth: Synth, songs: Sequence[Song], at_once: int = 8) -> Iterator[Tensor]:
    """Stems `[songs, tracks, 2, samples]`, `at_once` songs at a time."""
    for start in range(0, len(songs), at_once):
        with torch.no_grad():
            yield synth.stems(songs[start : start + at_once])
