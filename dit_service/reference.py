"""Pick what the timbre encoder hears from a reference: three pieces of ten seconds.

Source: spec dit.md 2.4, with the fixed offsets of 10.3.
"""

import math

import numpy as np

from common.music import SAMPLE_RATE_HZ
from dit_service.engine import Waveform

PIECES = 3
PIECE_SAMPLES = 10 * SAMPLE_RATE_HZ


def excerpt(waveform: Waveform) -> Waveform:
    """30 s of `waveform` `[samples, 2]`: from its start, its first and its second third on.

    A shorter one is repeated until it is long enough.
    """
    times = math.ceil(PIECES * PIECE_SAMPLES / len(waveform))
    long = np.tile(waveform, (times, 1)) if times > 1 else waveform
    third = len(long) // PIECES
    return np.concatenate([long[at * third :][:PIECE_SAMPLES] for at in range(PIECES)])
