"""Compose songs by rules, each decided by its seed alone."""

import numpy as np

from training.arrange import Grid, arrange
from training.song import Song
from training.styles import STYLES, Style
from training.theory import Key

DURATIONS_S = (10.0, 15.0, 20.0, 30.0)


def compose(seed: int, duration_s: float | None = None) -> Song:
    """The song of a seed; its length too is drawn unless given."""
    draw = np.random.default_rng([0xACE, seed])
    style = STYLES[draw.integers(len(STYLES))]
    if duration_s is None:
        duration_s = float(draw.choice(DURATIONS_S))
    meter = int(draw.choice(style.meters))
    bpm = _tempo(style, meter, draw)
    mode = "major" if draw.random() < style.major else "minor"
    key = Key(int(draw.integers(12)), mode)
    grid = Grid(bpm, meter, duration_s)
    parts, sections = arrange(style, key, grid, draw)
    return Song(
        seed=seed,
        duration_s=duration_s,
        style=style.name,
        moods=tuple(draw.permutation(style.moods)[: draw.integers(1, 3)].tolist()),
        words=str(draw.choice(style.words)),
        bpm=bpm,
        key=key,
        meter=meter,
        parts=parts,
        sections=sections,
    )


def _tempo(style: Style, meter: int, draw: np.random.Generator) -> int:
    low, high = style.tempo
    if meter == 6:  # the beat is the dotted quarter
        low, high = max(60, low * 2 // 3), max(72, high * 2 // 3)
    return int(draw.integers(low, high + 1))
