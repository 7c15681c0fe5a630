"""Put a style, a key and a tempo into parts: who plays when, and what."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from training import patterns
from training.patterns import Bar, Event
from training.song import Notes, Part, Section
from training.styles import GROOVES, PERCUSSION, PROGRESSIONS, Style
from training.theory import Key
from training.voices import DRUM_KITS, VOICES

Writer = Callable[[Bar], list[Event]]

TICK_S = 0.01
"""Notes begin on whole ticks, of which four make a latent frame."""
SHORT_BAR_S, SLOW_BAR_S = 1.1, 2.2
"""Shorter bars share a chord with the next, and longer ones of four beats have two."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Time, counted in steps: four to a beat; three in 6/8, where the beat is a dotted quarter."""

    bpm: int
    meter: int
    duration_s: float

    @property
    def steps_per_beat(self) -> int:
        return 3 if self.meter == 6 else 4

    @property
    def beats(self) -> int:
        return 2 if self.meter == 6 else self.meter

    @property
    def steps(self) -> int:
        """Of a bar."""
        return self.beats * self.steps_per_beat

    @property
    def step_s(self) -> float:
        return 60 / self.bpm / self.steps_per_beat

    @property
    def bar_s(self) -> float:
        return self.steps * self.step_s

    @property
    def halves(self) -> "Grid":
        """Where chords change: twice in a slow bar of four."""
        return replace(self, meter=2) if self.meter == 4 and self.bar_s > SLOW_BAR_S else self

    @property
    def bars(self) -> int:
        """Those that begin within the song."""
        return max(2, int(np.ceil(self.duration_s / self.bar_s - 1e-6)))

    @property
    def hold(self) -> int:
        """Bars of a chord. Four chords are a phrase, and no section is shorter."""
        return 1 if self.bar_s > SHORT_BAR_S else 2

    def seconds(self, step: float) -> float:
        return round(step * self.step_s / TICK_S) * TICK_S


def arrange(
    style: Style, key: Key, grid: Grid, draw: np.random.Generator
) -> tuple[tuple[Part, ...], tuple[Section, ...]]:
    """The parts of a song and its form."""
    band = _band(style, grid, draw)
    form = _form(grid, tuple(band), draw)
    bars = _bars(style, key, grid, form, draw)
    halves = grid.halves
    phrases = bars
    if halves != grid:
        twice = [(name, 2 * start, roles) for name, start, roles in form]
        phrases = _bars(style, key, halves, twice, draw)
    writers: dict[str, Writer] = {
        "drums": lambda bar: patterns.drums(bar, GROOVES[style.groove][grid.meter]),
        "percussion": lambda bar: patterns.percussion(bar, PERCUSSION[band["percussion"]]),
        "bass": lambda bar: patterns.bass(bar, style.bass_line),
        "chords": lambda bar: patterns.chords(bar, style.chord_pattern),
        "pad": patterns.pad,
        "lead": patterns.lead,
    }
    parts = []
    for role, instrument in band.items():
        struck = role in ("drums", "percussion")
        notes = _written(writers[role], role, bars if struck else phrases, grid if struck else halves)
        if len(notes):
            parts.append(_part(role, instrument, notes, style))
    sections = tuple(
        Section(name, start * grid.bar_s, tuple(band[role] for role in roles))
        for name, start, roles in form
    )
    return tuple(parts), sections


def _band(style: Style, grid: Grid, draw: np.random.Generator) -> dict[str, str]:
    """Role to instrument. No two roles share an instrument, so that each can be heard apart."""
    band: dict[str, str] = {}
    if GROOVES[style.groove].get(grid.meter):
        band["drums"] = str(draw.choice(style.kits))
    if draw.random() < style.percussion:
        band["percussion"] = str(draw.choice(list(PERCUSSION)))
    for role, choices, chance in (
        ("bass", style.bass, 0.9),
        ("chords", style.chords, 0.9),
        ("pad", style.pads, 0.3),
        ("lead", style.leads, 0.6),
    ):
        free = [name for name in choices if name not in band.values()]
        if free and draw.random() < chance:
            band[role] = str(draw.choice(free))
    if not {"chords", "pad", "lead"} & set(band):
        band["chords"] = str(style.chords[0])
    return band


def _form(
    grid: Grid, roles: tuple[str, ...], draw: np.random.Generator
) -> list[tuple[str, int, tuple[str, ...]]]:
    """Sections as name, first bar and who plays."""
    bars = grid.bars
    rhythm = tuple(role for role in roles if role != "lead")
    sparse = tuple(role for role in roles if role not in ("lead", "pad"))
    phrase = 4 * grid.hold
    if bars < 1.5 * phrase:
        return [("Verse", 0, roles)]
    unit = phrase * max(1, round(bars / 5 / phrase))
    names: list[tuple[str, tuple[str, ...]]] = [
        *([("Intro", rhythm)] if draw.random() < 0.6 else []),
        *(("Verse", roles if draw.random() < 0.5 else sparse), ("Chorus", roles)),
        *(("Verse", roles), ("Bridge", rhythm), ("Chorus", roles), ("Outro", roles)),
    ]
    return [(name, at, who) for (name, who), at in zip(names, range(0, bars, unit), strict=False)]


def _bars(
    style: Style,
    key: Key,
    grid: Grid,
    form: list[tuple[str, int, tuple[str, ...]]],
    draw: np.random.Generator,
) -> list[tuple[Bar, tuple[str, ...]]]:
    """Every bar with its chord, and the roles that play in it."""
    choices = PROGRESSIONS[key.mode]
    verse, chorus = (choices[place] for place in draw.permutation(len(choices))[:2])
    motifs = [patterns.motif(grid.steps, grid.steps_per_beat, draw) for _ in range(2)]
    starts = [start for _, start, _ in form]
    bars = []
    for index in range(grid.bars):
        place = max(number for number, start in enumerate(starts) if start <= index)
        name, start, roles = form[place]
        within = index - start
        progression = chorus if name == "Chorus" else verse
        last = index == grid.bars - 1
        degree = 0 if last else progression[within // grid.hold % len(progression)]
        bar = Bar(
            steps=grid.steps,
            beat=grid.steps_per_beat,
            key=key,
            degree=degree,
            size=3,
            motif=motifs[int(name == "Chorus")][within % 2 if within % 4 < 3 else 2],
            is_last=last,
            is_fill=within % 4 == 3 or (place + 1 < len(starts) and starts[place + 1] == index + 1),
            is_first=within == 0,
            draw=draw,
        )
        bars.append((bar, roles))
    return bars


def _written(
    write: Writer,
    role: str,
    bars: list[tuple[Bar, tuple[str, ...]]],
    grid: Grid,
) -> Notes:
    rows = []
    for index, (bar, roles) in enumerate(bars):
        for event in write(bar) if role in roles else ():
            start = grid.seconds(index * grid.steps + event.step)
            length = min(event.length * grid.step_s, grid.duration_s - start)
            if length > 0.02:
                rows.append((start, length, event.pitch, event.strength))
    return np.array(rows, np.float32).reshape(-1, 4)


LEVELS = {"drums": 1.0, "percussion": 0.5, "bass": 0.85, "chords": 0.5, "pad": 0.45, "lead": 0.62}
PANS = {"chords": -0.3, "lead": 0.3, "percussion": 0.4}


def _part(role: str, instrument: str, notes: Notes, style: Style) -> Part:
    drums = role in ("drums", "percussion")
    kit = instrument if role == "drums" else style.kits[0]
    return Part(
        instrument=instrument,
        track=role if drums else VOICES[instrument].track,
        notes=notes,
        pan=PANS.get(role, 0.0),
        level=LEVELS[role],
        kit=DRUM_KITS.index(kit) if drums else None,
    )
