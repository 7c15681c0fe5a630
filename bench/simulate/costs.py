"""What a song costs, as measured; docs/performance.md has the runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CODE_RATE_HZ = 5.0
PLAN_TOKENS = 200.0
"""Of a plan: about what released models write (metadata, a caption)."""
LM_STEP_MS = {1: 1.82, 8: 2.12, 32: 2.95}
"""By pairs of rows: "guided, codes", on an H200, 2026-11-26; what lies between is interpolated."""
LM_ROOM = 32
"""Pairs at once; more were not measured."""
VAE_MS_PER_S = 96.0 / 240.0
"""Decoding of 240 s in tiles, copied to the host; on an H200, 2026-11-26."""
CONDITIONING_MS = 12.0
"""What the audio stages of a song alone take beside its steps and its decoding: 7 and 17 ms for 30 and
240 s, on an H200, 2026-11-26. Most of it the device waits for the host."""
PCM_BYTES_PER_S = 48_000 * 2 * 4
"""What the diffusion sends to the gateway."""


@dataclass(frozen=True, slots=True)
class Diffusion:
    """Eight steps of turbo for one song alone, in milliseconds by its seconds, on an H200."""

    name: str
    ms: dict[float, float]


EAGER = Diffusion("eager", {30.0: 191.3, 120.0: 130.6, 240.0: 237.4})
GRAPHS = Diffusion("compiled, graphs", {30.0: 29.8, 120.0: 78.9, 240.0: 158.5})


@dataclass(frozen=True, slots=True)
class Mix:
    """Lengths of songs, and how often each is asked for."""

    lengths_s: Sequence[float] = (30.0, 120.0, 240.0)
    weights: Sequence[float] = (0.3, 0.5, 0.2)

    @property
    def mean_s(self) -> float:
        return float(np.dot(self.lengths_s, self.weights))


def interpolated(table: dict[float, float], at: float) -> float:
    """Linear between what was measured, and constant beyond it."""
    return float(np.interp(at, [*table], [*table.values()]))


def lm_step_s(pairs: int) -> float:
    return interpolated({float(key): value for key, value in LM_STEP_MS.items()}, pairs) / 1000


def lm_tokens(song_s: float) -> float:
    """Steps of a song that is planned and then written in codes."""
    return PLAN_TOKENS + CODE_RATE_HZ * song_s


def dit_s(song_s: float, diffusion: Diffusion) -> float:
    """What a song takes of a device that renders one at a time."""
    return (CONDITIONING_MS + interpolated(diffusion.ms, song_s) + VAE_MS_PER_S * song_s) / 1000


def songs_per_gpu_hour(mix: Mix, diffusion: Diffusion) -> tuple[float, float]:
    """Of the language model with a full batch, and of the diffusion."""
    pairs = zip(mix.lengths_s, mix.weights, strict=True)
    lm = sum(weight * lm_tokens(song_s) for song_s, weight in pairs) * lm_step_s(LM_ROOM) / LM_ROOM
    pairs = zip(mix.lengths_s, mix.weights, strict=True)
    dit = sum(weight * dit_s(song_s, diffusion) for song_s, weight in pairs)
    return 3600 / lm, 3600 / dit
