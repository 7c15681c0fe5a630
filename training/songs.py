"""Many songs: composed one after the other, rendered many at once where the networks train."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from training.compose import compose
from training.marks import Marks, marks
from training.song import Song
from training.synth import Synth

TRAINING_SEEDS = 1_000_000
"""Training songs count up from here; smaller seeds are never trained on."""


def groups(first_seed: int, sizes: Iterable[tuple[int, float]]) -> Iterator[list[tuple[Song, Marks]]]:
    """Groups of songs of one length each; `sizes` are counts and seconds.

    A GPU renders a group while the next is composed: kernels are only queued.
    """
    seed = first_seed
    for count, duration_s in sizes:
        yield [(song, marks(song)) for song in (compose(seed + i, duration_s) for i in range(count))]
        seed += count


def rendered(synth: Synth, songs: Sequence[Song], at_once: int = 8) -> Iterator[Tensor]:
    """Stems `[songs, tracks, 2, samples]`, `at_once` songs at a time."""
    for start in range(0, len(songs), at_once):
        with torch.no_grad():
            yield synth.stems(songs[start : start + at_once])
