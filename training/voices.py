"""The instruments: what each sounds like, and which track of a mix it belongs to."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TRACKS = (*("drums", "percussion", "bass", "guitar", "keyboard", "synth", "strings", "woodwinds", "brass"),)
"""The stems of a song, under upstream's names of tracks; those with voices or effects are not made."""

Spectrum = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""Strength of harmonics by number, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A note is a cycle that fades from `bright` to `dark`, under an envelope."""

    name: str
    track: str
    bright: Spectrum
    dark: Spectrum
    attack_s: float = 0.005
    decay_s: float = 0.5
    """Time to fall from full strength to `sustain`, by 1/e."""
    sustain: float = 0.0
    release_s: float = 0.08
    fading_s: float = 0.2
    """Time from bright to dark, by 1/e."""
    tremolo: float = 0.0
    """How much of the strength comes and goes, once in four latent frames."""
    gain: float = 1.0


def saw(slope: float = 1.0) -> Spectrum:
    return lambda k: k**-slope


def square(slope: float = 1.0) -> Spectrum:
    return lambda k: (k % 2) * k**-slope


def lowpass(source: Spectrum, cutoff: float, order: float = 4.0) -> Spectrum:
    """`cutoff` in harmonics."""
    return lambda k: source(k) / np.sqrt(1 + (k / cutoff) ** order)


def drawbars(*levels: tuple[int, float]) -> Spectrum:
    def strengths(k: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return sum((level * (k == harmonic) for harmonic, level in levels), np.zeros_like(k))

    return strengths


def plucked(place: float, slope: float = 1.0) -> Spectrum:
    """A string plucked at a share of its length."""
    return lambda k: np.abs(np.sin(np.pi * k * place)) * k**-slope


def formant(source: Spectrum, centre: float, width: float, boost: float) -> Spectrum:
    return lambda k: source(k) * (1 + boost * np.exp(-(((k - centre) / width) ** 2)))


def _voice(name: str, track: str, bright: Spectrum, dark: Spectrum, **settings: float) -> Voice:
    return Voice(name=name, track=track, bright=bright, dark=dark, **settings)


VOICES = {
    voice.name: voice
    for voice in (
        _voice("electric bass", "bass", plucked(0.18, 1.2), lowpass(plucked(0.3), 3),
               decay_s=0.9, sustain=0.3, fading_s=0.15, gain=1.2),
        _voice("synth bass", "bass", lowpass(saw(), 9), lowpass(saw(), 3),
               decay_s=0.3, sustain=0.7, fading_s=0.1, gain=1.0),
        _voice("piano", "keyboard", lowpass(plucked(0.12), 6), lowpass(plucked(0.12), 2),
               decay_s=1.0, fading_s=0.3, release_s=0.1, gain=1.0),
        _voice("organ", "keyboard", drawbars((1, 1), (2, 0.9), (3, 0.6), (4, 0.6), (8, 0.4)),
               drawbars((1, 1), (2, 0.9), (3, 0.6), (4, 0.6), (8, 0.4)), attack_s=0.01, sustain=1.0, gain=0.55),
        _voice("acoustic guitar", "guitar", formant(plucked(0.2, 0.7), 6, 3, 2.0), lowpass(plucked(0.2), 5),
               decay_s=0.35, fading_s=0.15, gain=1.05),
        _voice("synth lead", "synth", lowpass(square(0.8), 12), lowpass(square(0.9), 9),
               attack_s=0.01, decay_s=0.5, sustain=0.8, gain=0.65),
        _voice("synth pad", "synth", lowpass(square(), 6), lowpass(square(), 5),
               attack_s=0.2, sustain=1.0, release_s=0.25, fading_s=1.0, gain=0.6),
        _voice("strings", "strings", lowpass(saw(0.8), 12), lowpass(saw(0.9), 9),
               attack_s=0.1, sustain=1.0, release_s=0.2, tremolo=0.6, gain=0.65),
        _voice("flute", "woodwinds", drawbars((1, 1), (2, 0.2)),
               drawbars((1, 1), (2, 0.12)), attack_s=0.05, sustain=0.9, decay_s=0.3, gain=0.85),
        _voice("brass", "brass", formant(saw(0.8), 5, 3, 2.5), formant(saw(1.0), 4, 2, 1.5),
               attack_s=0.04, decay_s=0.4, sustain=0.8, fading_s=0.25, gain=0.6),
    )
}  # fmt: skip

DRUM_KITS = ("acoustic drums", "electronic drums")
DRUM_HITS = ("kick", "snare", "hat", "open hat", "ride", "crash", "tom", "clap", "rim")
PERCUSSION_HITS = ("shaker", "conga", "low conga")
HITS = (*DRUM_HITS, *PERCUSSION_HITS)
