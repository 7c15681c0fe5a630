"""What is done to a decoded song before it is sent: its level and its ends.

Source: spec dit.md 4.2.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.errors import AceError, Kind
from common.music import SAMPLE_RATE_HZ
from dit_service.engine import Waveform

SILENCE = 1e-5
"""RMS and peak up to this are silence."""
BLOCK_SAMPLES = 10 * SAMPLE_RATE_HZ
FAINTEST_PEAK = 1e-6
"""Below this there is nothing to normalise, only rounding noise."""


@dataclass(frozen=True, slots=True)
class Finish:
    enable_normalization: bool = True
    normalization_db: float = -1.0
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Level:
    """How loud a song was before it was finished."""

    peak: float
    silent: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """What was done to a song's level."""

    before: Level
    gain: float


def level(waveform: Waveform) -> Level:
    """Raises `AceError` (INTERNAL) for samples that are no sound: they must not pass for a song."""
    peak = _peak(waveform)
    if not math.isfinite(peak):
        raise AceError(Kind.INTERNAL, "SAMPLES_NOT_FINITE", "decoding gave NaN or infinite samples")
    # In float64: a song has 58 million samples, and float32 would lose the quiet ones.
    energy = sum(float(np.square(block, dtype=np.float64).sum()) for block in blocks(waveform))
    return Level(peak, silent=peak <= SILENCE and math.sqrt(energy / waveform.size) <= SILENCE)


def blocks(waveform: Waveform) -> Iterator[Waveform]:
    """Views of 10 s each: what works through them needs no memory of the song's size."""
    for start in range(0, len(waveform), BLOCK_SAMPLES):
        yield waveform[start : start + BLOCK_SAMPLES]


def prevent_clipping(waveform: Waveform) -> None:
    """Scale `waveform` in place, if it is too loud, to just not clip."""
    waveform /= np.float32(max(1.0, _peak(waveform)))


def finish(waveform: Waveform, peak: float, wishes: Finish) -> float:
    """Scale and fade `waveform` `[samples, 2]` in place; `peak` is its own. Returns the gain."""
    gain = 1 / max(1.0, peak)
    if wishes.enable_normalization and peak >= FAINTEST_PEAK:
        gain = 10 ** (wishes.normalization_db / 20) / peak
    waveform *= np.float32(gain)
    fade(waveform, 0, len(waveform), wishes)
    return gain


def fade(piece: Waveform, first_sample: int, total_samples: int, wishes: Finish) -> None:
    """Do to `piece`, which begins at `first_sample` of a song, in place, what its fades do there."""
    _fade_in(piece, first_sample, total_samples, wishes.fade_in_s)
    _fade_in(piece[::-1], total_samples - first_sample - len(piece), total_samples, wishes.fade_out_s)


def _peak(waveform: Waveform) -> float:
    return float(max(waveform.max(), -waveform.min()))


def _fade_in(piece: Waveform, first_sample: int, total_samples: int, seconds: float) -> None:
    samples = min(round(seconds * SAMPLE_RATE_HZ), total_samples)
    faded = piece[: max(0, samples - first_sample)]
    places = np.arange(first_sample, first_sample + len(faded)) / max(1, samples - 1)
    faded *= places.astype(np.float32)[:, None]
