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
COUNT = 12 + 12 + len(STRUCK) + 1
"""Pitch classes of harmony and melody, pitch classes of the bass, drums that begin, notes that begin."""

Marks = npt.NDArray[np.uint8]


def marks(song: Song) -> Marks:
    """`[frames, COUNT]`, 0 or 1."""
    frames = round(song.duration_s * LATENT_RATE_HZ)
    made = np.zeros((frames, COUNT), np.uint8)
    for part in song.parts:
        first = np.minimum((part.notes[:, 0] * LATENT_RATE_HZ).astype(int), frames - 1)
        last = np.ceil((part.notes[:, 0] + part.notes[:, 1]) * LATENT_RATE_HZ).astype(int)
        if part.kit is None:
            column = (12 if part.track == "bass" else 0) + part.notes[:, 2].astype(int) % 12
            for start, end, place in zip(first, last, column, strict=True):
                made[start:end, place] = 1
            made[first, COUNT - 1] = 1
        else:
            for start, hit in zip(first, part.notes[:, 2].astype(int), strict=True):
                name = ALIKE.get(HITS[hit], HITS[hit])
                if name in STRUCK:
                    made[start, 24 + STRUCK.index(name)] = 1
    return made
