"""What a song costs, as measured; docs/performance.md has the runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CODE_RATE_HZ = 5.0
PLAN_STEPS = 190.0
"""What a plan of 162 tokens takes, in steps of codes: 0.43 s for a song alone, 0.57 s for one of eight."""
LM_STEP_MS = {1: 2.26, 8: 2.98, 32: 5.25}
"""For a code, by songs that are written at once, through the service on an H200, 2026-11-26 (32: from a run
that ended before its songs did). The engine alone takes less; what lies between is interpolated."""
LM_ROOM = 32
"""Songs at once; more were not measured."""
AFTER_MS_PER_S = 700.0 / 240.0 + 220.0 / 60.0
"""FLAC and loudness of a second of song, each on a core, as if nothing of them were done before its end."""
OVERHEAD_S = 0.1
"""Of gateway and network, per song: checks, its way. Assumed."""
PCM_BYTES_PER_S = 48_000 * 2 * 4
"""What the diffusion sends to the gateway."""


@dataclass(frozen=True, slots=True)
class Diffusion:
    """Audio stages of a song alone, eight steps of turbo, in milliseconds by its seconds, on an H200."""

    name: str
    ms: dict[float, float]


GRAPHS = Diffusion("compiled, graphs", {30.0: 53.0, 120.0: 136.0, 240.0: 264.0, 600.0: 701.0})
"""2026-11-26, one model within 24 GB."""
EAGER = Diffusion("eager", {30.0: 191 + 13 + 110, 120.0: 131 + 48 + 110, 240.0: 237 + 96 + 110})
"""Steps of 2026-11-23, decoding of 2026-11-26, and 110 ms of conditioning that is not recorded."""


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


def lm_steps(song_s: float) -> float:
    """Steps, as long as those of codes, of a song that is planned and then written."""
    return PLAN_STEPS + CODE_RATE_HZ * song_s


def dit_s(song_s: float, diffusion: Diffusion) -> float:
    """What a song takes of a device that renders one at a time."""
    return interpolated(diffusion.ms, song_s) / 1000


def after_s(song_s: float) -> float:
    """Between the last sound of a song and its file at the caller."""
    return OVERHEAD_S + AFTER_MS_PER_S * song_s / 1000


def songs_per_gpu_hour(mix: Mix, diffusion: Diffusion) -> tuple[float, float]:
    """Of the language model with a full batch, and of the diffusion."""
    pairs = zip(mix.lengths_s, mix.weights, strict=True)
    lm = sum(weight * lm_steps(song_s) for song_s, weight in pairs) * lm_step_s(LM_ROOM) / LM_ROOM
    pairs = zip(mix.lengths_s, mix.weights, strict=True)
    dit = sum(weight * dit_s(song_s, diffusion) for song_s, weight in pairs)
    return 3600 / lm, 3600 / dit
