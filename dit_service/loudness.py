"""How loud a song is: integrated loudness and true peak, as ITU-R BS.1770-4 defines them.

It is read in blocks, so that measuring needs no memory of the song's size.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from common.music import SAMPLE_RATE_HZ
from dit_service.engine import LaidSound, Waveform

SEGMENT = SAMPLE_RATE_HZ // 10
"""Gating blocks last 400 ms, and one begins every 100 ms."""
SEGMENTS_OF_BLOCK = 4
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0

HOP = 12 * SEGMENT
LEAD = 2**16 - HOP
"""After so many samples the filters have forgotten what was before: they are down by 340 dB."""

HEAD_EFFECT = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1, -1.69065929318241, 0.73248077421585),
)
HIGH_PASS = (1, -2, 1), (1, -1.99004745483398, 0.99007225036621)

# The interpolating filter of annex 2: what lies at four places between two samples.
NEAR = (
    *(
        0.0017089843750,
        0.0109863281250,
        -0.0196533203125,
        0.0332031250000,
        -0.0594482421875,
        0.1373291015625,
    ),
    *(
        0.9721679687500,
        -0.1022949218750,
        0.0476074218750,
        -0.0266113281250,
        0.0148925781250,
        -0.0083007812500,
    ),
)
BETWEEN = (
    *(
        -0.0291748046875,
        0.0292968750000,
        -0.0517578125000,
        0.0891113281250,
        -0.1665039062500,
        0.4650878906250,
    ),
    *(
        0.7797851562500,
        -0.2003173828125,
        0.1015625000000,
        -0.0582275390625,
        0.0330810546875,
        -0.0189208984375,
    ),
)
TAPS = len(NEAR)
PLACES = np.array([NEAR, BETWEEN, BETWEEN[::-1], NEAR[::-1]], np.float32)

ROWS = 200
"""Of one matrix product: so small a one BLAS does on the thread that asks for it."""
THREADS = ThreadPoolExecutor(4, "loudness")
"""For all songs: more would too often take Python's lock from the thread that drives the device."""


def _interpolation() -> npt.NDArray[np.float32]:
    """From `2 * TAPS - 1` samples to the four places after each of `TAPS` of them, as a matrix product."""
    matrix = np.zeros((2 * TAPS - 1, TAPS, len(PLACES)), np.float32)
    for sample in range(TAPS):
        matrix[sample : sample + TAPS, sample] = PLACES.T
    return matrix.reshape(2 * TAPS - 1, -1)


INTERPOLATION = _interpolation()


@dataclass(frozen=True, slots=True)
class Loudness:
    """`None` where there is nothing to measure: in silence, and in less than 400 ms."""

    integrated_lufs: float | None
    true_peak_dbtp: float | None


def measure(waveform: Waveform) -> Loudness:
    """Of `waveform` `[samples, 2]` at 48 kHz; blocking."""
    count = math.ceil((len(waveform) + TAPS) / HOP)
    # Silence surrounds the song. Each block begins with what was before it.
    padded = LaidSound(waveform, LEAD, LEAD + count * HOP)

    def measured(place: int) -> tuple[npt.NDArray[np.float64], float]:
        sides = np.ascontiguousarray(padded[place * HOP : (place + 1) * HOP + LEAD].T)
        return _segment_powers(sides), _true_peak(sides[:, LEAD - TAPS + 1 :])

    powers, peaks = zip(*THREADS.map(measured, range(count)), strict=True)
    peak = max(peaks)
    whole = np.concatenate(powers)[: len(waveform) // SEGMENT]
    return Loudness(_gated(whole), 20 * math.log10(peak) if peak > 0 else None)


def _weighting() -> npt.NDArray[np.complex64]:
    """What the filters do to each frequency of a block."""
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(LEAD + HOP))
    above, below = (
        np.prod([np.polyval(stage[part][::-1], z) for stage in (HEAD_EFFECT, HIGH_PASS)], axis=0)
        for part in (0, 1)
    )
    weighting: npt.NDArray[np.complex64] = (above / below).astype(np.complex64)
    return weighting


WEIGHTING = _weighting()


def _segment_powers(sides: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mean squares of the weighted block `[2, LEAD + HOP]` by segment, both sides added."""
    spectrum = np.fft.rfft(sides)
    spectrum *= WEIGHTING
    weighted = np.fft.irfft(spectrum)[:, LEAD:].reshape(len(sides), -1, SEGMENT)
    powers: npt.NDArray[np.float64] = (
        np.einsum("sij,sij->i", weighted, weighted, dtype=np.float64) / SEGMENT
    )
    return powers


def _true_peak(sides: npt.NDArray[np.float32]) -> float:
    """The largest that lies on and between the samples of `sides` `[2, HOP + TAPS - 1]`."""
    windows = sliding_window_view(sides, 2 * TAPS - 1, axis=1)[:, ::TAPS].reshape(-1, ROWS, 2 * TAPS - 1)
    between = windows @ INTERPOLATION
    return float(max(sides.max(), -sides.min(), between.max(), -between.min()))


def _gated(segments: npt.NDArray[np.float64]) -> float | None:
    if len(segments) < SEGMENTS_OF_BLOCK:
        return None
    powers = sliding_window_view(segments, SEGMENTS_OF_BLOCK).mean(axis=1)
    heard = powers[powers > _power(ABSOLUTE_GATE_LUFS)]
    if not len(heard):
        return None
    loud = heard[heard > heard.mean() * 10 ** (RELATIVE_GATE_LU / 10)]
    return -0.691 + 10 * math.log10(loud.mean())


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))
