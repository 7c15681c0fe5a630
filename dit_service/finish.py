"""What is done to a decoded song before it is sent: its level and its ends.

Source: spec dit.md 4.2.
"""

import math
from dataclasses import dataclass

import numpy as np

from common.errors import AceError, Kind
from common.music import SAMPLE_RATE_HZ
from dit_service.engine import Waveform

SILENCE = 1e-5
"""RMS and peak up to this are silence."""
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


def level(waveform: Waveform) -> Level:
    """Raises `AceError` (INTERNAL) for samples that are no sound: they must not pass for a song."""
    peak = _peak(waveform)
    if not math.isfinite(peak):
        raise AceError(Kind.INTERNAL, "SAMPLES_NOT_FINITE", "decoding gave NaN or infinite samples")
    # In float64: a song has 58 million samples, and float32 would lose the quiet ones.
    rms = float(np.sqrt(np.mean(np.square(waveform), dtype=np.float64)))
    return Level(peak, silent=peak <= SILENCE and rms <= SILENCE)


def prevent_clipping(waveform: Waveform) -> None:
    """Scale `waveform` in place, if it is too loud, to just not clip."""
    waveform /= np.float32(max(1.0, _peak(waveform)))


def finish(waveform: Waveform, peak: float, wishes: Finish) -> None:
    """Scale and fade `waveform` `[samples, 2]` in place; `peak` is its own."""
    gain = 1 / max(1.0, peak)
    if wishes.enable_normalization and peak >= FAINTEST_PEAK:
        gain = 10 ** (wishes.normalization_db / 20) / peak
    waveform *= np.float32(gain)
    _fade(waveform, wishes.fade_in_s)
    _fade(waveform[::-1], wishes.fade_out_s)


def _peak(waveform: Waveform) -> float:
    return float(max(waveform.max(), -waveform.min()))


def _fade(waveform: Waveform, seconds: float) -> None:
    samples = min(round(seconds * SAMPLE_RATE_HZ), len(waveform))
    waveform[:samples] *= np.linspace(0, 1, samples, dtype=np.float32)[:, None]
