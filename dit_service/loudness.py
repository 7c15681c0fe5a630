"""How loud a song is: integrated loudness and true peak, as ITU-R BS.1770-4 defines them.

It is read in blocks, so that measuring needs no memory of the song's size.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from common.music import CHANNELS, SAMPLE_RATE_HZ
from dit_service.engine import LaidSound, Waveform

SEGMENT = SAMPLE_RATE_HZ // 10
"""Gating blocks last 400 ms, and one begins every 100 ms."""
SEGMENTS_OF_BLOCK = 4
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0

HOP = 3 * SEGMENT
LEAD = 2**14 - HOP
"""After so many samples the filters have forgotten what was before: they are down by 80 dB."""
PART = 8 * HOP
"""What one thread measures at a time, 2.4 s."""

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
REACH = float(np.abs(PLACES).sum(1).max())
"""How many times as far as the samples around it a place between them can lie."""

ROWS = 200
"""Of one matrix product: so small a one BLAS does on the thread that asks for it."""
LANES = 4
THREADS = ThreadPoolExecutor(LANES, "loudness")
"""For all songs. What they call works long without Python's lock, which others need: the thread that drives
the device, and the one that sends songs."""


def _interpolation() -> npt.NDArray[np.float32]:
    """From `2 * TAPS - 1` samples to the four places after each of `TAPS` of them, as a matrix product."""
    matrix = np.zeros((2 * TAPS - 1, TAPS, len(PLACES)), np.float32)
    for sample in range(TAPS):
        matrix[sample : sample + TAPS, sample] = PLACES.T
    return matrix.reshape(2 * TAPS - 1, -1)


INTERPOLATION = _interpolation()


@dataclass(frozen=True, slots=True)
class Loudness:
    integrated_lufs: float | None
    """`None` for silence, and for less than 400 ms."""
    true_peak_dbtp: float | None
    """`None` for digital silence."""


def measure(waveform: Waveform) -> Loudness:
    """Of `waveform` `[samples, 2]` at 48 kHz; blocking."""
    count = math.ceil((len(waveform) + TAPS) / PART)
    # Silence surrounds the song. Each part begins with what was before it.
    padded = LaidSound(waveform, LEAD, LEAD + count * PART)
    highest = float(max(waveform.max(), -waveform.min()))
    powers = np.empty((count, PART // SEGMENT))

    def lane(first: int) -> float:
        return _Lane().measure(padded, range(first, count, LANES), powers, highest)

    peak = max(THREADS.map(lane, range(LANES)))
    whole = powers.ravel()[: len(waveform) // SEGMENT]
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


class _Lane:
    """Parts that one thread measures, all in the same buffers.

    To be given new ones by the system takes longer than the filters.
    """

    def __init__(self) -> None:
        blocks = PART // HOP
        self._sides = np.empty((CHANNELS, LEAD + PART), np.float32)
        self._spectra = np.empty((CHANNELS, blocks, len(WEIGHTING)), np.complex64)
        self._weighted = np.empty((CHANNELS, blocks, LEAD + HOP), np.float32)

    def measure(
        self, padded: LaidSound, places: range, powers: npt.NDArray[np.float64], highest: float
    ) -> float:
        """Write the mean squares of the segments of `places` into `powers`.

        Returns the true peak, if it is higher than `highest`, the largest sample.
        """
        for place in places:
            self._sides[:] = padded[place * PART : (place + 1) * PART + LEAD].T
            powers[place] = self._segment_powers()
            highest = _true_peak(self._sides[:, LEAD - TAPS :], highest)
        return highest

    def _segment_powers(self) -> npt.NDArray[np.float64]:
        """Mean squares of the weighted part by segment, both sides added."""
        blocks = sliding_window_view(self._sides, LEAD + HOP, axis=1)[:, ::HOP]
        np.fft.rfft(blocks, out=self._spectra)  # type: ignore[arg-type] # numpy's types know float64 only
        self._spectra *= WEIGHTING
        np.fft.irfft(self._spectra, out=self._weighted)  # type: ignore[arg-type]
        segments = self._weighted[..., LEAD:].reshape(CHANNELS, -1, SEGMENT)
        powers: npt.NDArray[np.float64] = np.einsum("sij,sij->i", segments, segments, dtype=np.float64)
        return powers / SEGMENT


def _true_peak(sides: npt.NDArray[np.float32], highest: float) -> float:
    """The largest between the samples of `sides` `[2, PART + TAPS]`, or `highest` if none is larger.

    Only where the samples are so large that one between them could be is it looked for.
    """
    loud = np.abs(sides).reshape(len(sides), -1, TAPS).max(2)
    side, row = np.nonzero(np.maximum(loud[:, :-1], loud[:, 1:]) * REACH > highest)
    count = math.ceil(len(row) / ROWS) * ROWS  # the last product is filled up with what was before
    if count == 0:
        return highest
    windows = sliding_window_view(sides[:, 1:], 2 * TAPS - 1, axis=1)[:, ::TAPS]
    chosen = windows[np.resize(side, count), np.resize(row, count)].reshape(-1, ROWS, 2 * TAPS - 1)
    between = chosen @ INTERPOLATION
    return float(max(highest, between.max(), -between.min()))


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
