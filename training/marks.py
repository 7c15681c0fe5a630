"""What can be heard in a song at each latent frame: helpers' targets, so that latents and codes keep it.

Only training reads them: a codec and a tokenizer that have to tell the chord and the beat from a frame
leave them where the DiT and the language model find them easily.
"""

import numpy as np
import numpy.typing as npt

from common.music import LATENT_RATE_HZ
from training.song import Song
from training.voices import HITS

STRUCK = ("kick", "snare", "hat")
ALIKE = {"clap": "snare", "rim": "snare", "tom": "snare", "ride": "hat", "open hat": "hat"}
PITCHES = 12 + 12
"""Pitch classes of harmony and melody, pitch classes of the bass."""
HEARD = PITCHES + len(STRUCK) + 1
"""And drums that begin, and notes that begin: what a frame sounds of, which the codec has to tell."""
COUNT = HEARD + 2
"""And beats and bars that begin, which only codes have to tell: that is where the tempo is read."""

Marks = npt.NDArray[np.uint8]


def marks(song: Song) -> Marks:
    """`[frames, COUNT]`, 0 or 1."""
    frames = round(song.duration_s * LATENT_RATE_HZ)
    made = np.zeros((frames, COUNT), np.uint8)
    for part in song.parts:
        first = np.minimum((part.notes[:, 0] * LATENT_RATE_HZ + 1e-3).astype(int), frames - 1)
        last = np.ceil((part.notes[:, 0] + part.notes[:, 1]) * LATENT_RATE_HZ).astype(int)
        if part.kit is None:
            column = (12 if part.track == "bass" else 0) + part.notes[:, 2].astype(int) % 12
            for start, end, place in zip(first, last, column, strict=True):
                made[start:end, place] = 1
            made[first, HEARD - 1] = 1
        else:
            for begin, hit in zip(first, part.notes[:, 2].astype(int), strict=True):
                name = ALIKE.get(HITS[hit], HITS[hit])
                if name in STRUCK:
                    made[begin, PITCHES + STRUCK.index(name)] = 1
    beat_s = 60 / song.bpm
    for mark, every in ((HEARD, 1), (HEARD + 1, 2 if song.meter == 6 else song.meter)):
        starts = np.arange(0, song.duration_s - beat_s / 8, beat_s * every)
        made[np.minimum((starts * LATENT_RATE_HZ + 1e-3).astype(int), frames - 1), mark] = 1
    return made
