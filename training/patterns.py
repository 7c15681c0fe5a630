"""What an instrument plays in one bar."""

from dataclasses import dataclass

import numpy as np

from training.styles import Groove
from training.theory import Key, close_to
from training.voices import HITS

LOUD, SOFT = 1.0, 0.55
BASS, CHORDS, PAD = 44, 62, 70
"""MIDI numbers around which they play: each has a register of its own, and so has the lead above them."""


@dataclass(frozen=True, slots=True)
class Event:
    step: float
    length: float
    """In steps."""
    pitch: float
    strength: float = 0.8


@dataclass(frozen=True, slots=True)
class Motif:
    """A bar of melody: where notes begin, how long they last, and how they move along the scale."""

    steps: tuple[int, ...]
    lengths: tuple[int, ...]
    moves: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    steps: int
    beat: int
    """Steps of a beat."""
    key: Key
    degree: int
    """Of the scale, on which the chord stands."""
    size: int
    """Notes of the chord."""
    motif: Motif
    is_last: bool
    is_fill: bool
    is_first: bool
    draw: np.random.Generator


def motif(steps: int, beat: int, draw: np.random.Generator) -> tuple[Motif, Motif, Motif]:
    """A phrase: question, answer, and an end of long notes."""

    def one(density: float) -> Motif:
        grid = [0, *(step for step in range(1, steps) if draw.random() < _weight(step, beat) * density)]
        ends = [*grid[1:], steps]
        lengths = tuple(end - start for start, end in zip(grid, ends, strict=True))
        return Motif(tuple(grid), lengths, tuple(int(draw.integers(-2, 3)) for _ in grid))

    return one(1.0), one(0.9), one(0.35)


def _weight(step: int, beat: int) -> float:
    if step % beat == 0:
        return 0.7
    return 0.35 if step % 2 == 0 or beat == 3 else 0.08


def drums(bar: Bar, groove: Groove) -> list[Event]:
    events = _groove(bar, groove)
    if bar.is_first:
        events.append(Event(0, 4, HITS.index("crash"), 0.7))
    if bar.is_last:
        return [Event(0, 4, HITS.index(name), 0.9) for name in ("kick", "crash")]
    if bar.is_fill and bar.draw.random() < 0.6:
        start = bar.steps - bar.beat
        events = [event for event in events if event.step < start]
        events += [
            Event(step, 1, HITS.index("tom" if step % 2 else "snare"), 0.7)
            for step in range(start, bar.steps)
        ]
    return events


def percussion(bar: Bar, groove: Groove) -> list[Event]:
    return [] if bar.is_last else _groove(bar, groove)


def _groove(bar: Bar, groove: Groove) -> list[Event]:
    """Patterns shorter than the bar are repeated."""
    return [
        Event(step, 1, HITS.index(hit), LOUD if pattern[step % len(pattern)] == "x" else SOFT)
        for hit, pattern in groove.items()
        for step in range(bar.steps)
        if pattern[step % len(pattern)] != "-"
    ]


def bass(bar: Bar, line: str) -> list[Event]:
    root, *_ = close_to([bar.key.pitch(bar.degree, 1)], BASS)
    fifth = root + 7
    if bar.is_last or line == "roots":
        events = [Event(0, bar.steps, root, 0.9)]
        if not bar.is_last and bar.steps > 2 * bar.beat:
            half = bar.steps // 2 // bar.beat * bar.beat
            events = [Event(0, half, root, 0.9), Event(half, bar.steps - half, fifth, 0.75)]
        return events
    if line == "walking":
        tones = close_to(bar.key.chord(bar.degree, 4, 1), BASS + 3)
        return [
            Event(beat * bar.beat, bar.beat, root if beat == 0 else int(bar.draw.choice(tones)), 0.85)
            for beat in range(bar.steps // bar.beat)
        ]
    if line == "syncopated":
        spots = [spot for spot in (0, 3, 6, 8, 11, 14) if spot < bar.steps]
        return [Event(spot, 2, root + (12 if spot in (6, 14) else 0), 0.85) for spot in spots]
    if line == "offbeat":
        return [Event(step, 2, root, 0.9) for step in range(bar.beat // 2, bar.steps, bar.beat)]
    every = {"sixteenths": 1, "eighths": 2 if bar.beat == 4 else 1}[line]
    return [
        Event(step, every * 0.9, root, 0.9 if step % bar.beat == 0 else 0.7)
        for step in range(0, bar.steps, every)
        if line != "sixteenths" or step % bar.beat
    ]


def chords(bar: Bar, pattern: str) -> list[Event]:
    tones = close_to(bar.key.chord(bar.degree, bar.size, 4), CHORDS)
    if bar.is_last:
        return [Event(0, bar.steps, tone) for tone in tones]
    if pattern == "arpeggio":
        every = 2 if bar.beat == 4 else 1
        ladder = [*tones, tones[0] + 12, *reversed(tones[1:])]
        return [
            Event(step, every * 1.6, ladder[place % len(ladder)])
            for place, step in enumerate(range(0, bar.steps, every))
        ]
    spots = _chord_spots(bar, pattern)
    return [Event(step, length, tone, strength) for step, length, strength in spots for tone in tones]


def _chord_spots(bar: Bar, pattern: str) -> list[tuple[float, float, float]]:
    """Where chords are struck: step, length and strength."""
    steps, beat = bar.steps, bar.beat
    if pattern == "stabs":
        return [(at, 1.5, 0.8) for at in (2, 6, 10, 14) if at < steps]
    if pattern == "strum":
        spots = [(0.0, beat * 1.0, 0.9)]
        return spots + [(at, beat / 2, 0.6) for at in range(beat, steps, 2 if beat == 4 else 1)]
    if pattern == "eighths":
        every = 2 if beat == 4 else 1
        return [(at, every * 0.9, 0.85 if at % beat == 0 else 0.6) for at in range(0, steps, every)]
    if pattern == "lazy":
        return [(0.3, steps * 0.55, 0.8), (steps * 0.625, steps * 0.35, 0.6)]
    if pattern == "comping":
        choices = ((0, beat + 2), (2, 2 * beat), (beat, 2 * beat + 2))
        return [(at, 2.0, 0.7) for at in choices[bar.draw.integers(len(choices))] if at < steps]
    return [(at, beat * 0.7, 0.7) for at in range(beat, steps, beat)] or [(0, beat, 0.7)]  # oom pah


def pad(bar: Bar) -> list[Event]:
    tones = close_to(bar.key.chord(bar.degree, 3, 4), PAD)
    return [Event(0, bar.steps, tone, 0.7) for tone in tones]


def lead(bar: Bar) -> list[Event]:
    tones = close_to(bar.key.chord(bar.degree, 3, 5), 76)
    if bar.is_last:
        return [Event(0, bar.steps, close_to([bar.key.pitch(0, 5)], 76)[0], 0.85)]
    scale = [bar.key.pitch(degree, 3) for degree in range(21)]
    place = scale.index(min(scale, key=lambda pitch: abs(pitch - tones[abs(bar.motif.moves[0]) % 3])))
    events = []
    for step, length, move in zip(bar.motif.steps, bar.motif.lengths, bar.motif.moves, strict=True):
        strong = step % bar.beat == 0
        if step:
            place = int(np.clip(place + (move or 1), 9, 18))
        pitch = scale[place]
        if strong:  # a strong beat wants a note of the chord
            pitch = min(tones + [tone + 12 for tone in tones], key=lambda tone: abs(tone - pitch))
            place = scale.index(min(scale, key=lambda known: abs(known - pitch)))
        events.append(Event(step, length * 0.95, pitch, 0.9 if strong else 0.75))
    return events
