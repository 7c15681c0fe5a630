"""Words for songs: captions that say what can be heard, in varied wording."""

from dataclasses import dataclass

import numpy as np

from training.song import Song
from training.voices import DRUM_KITS, VOICES

TEMPO_WORDS = (
    (76, ("very slow", "slow", "unhurried")),
    (96, ("slow", "laid-back", "relaxed tempo")),
    (118, ("mid-tempo", "moderate", "medium tempo")),
    (142, ("upbeat", "fast", "lively")),
    (999, ("very fast", "rapid", "high-speed")),
)
NAMES = {
    **{name: (name,) for name in VOICES},
    "electric bass": ("electric bass", "bass guitar"),
    "synth bass": ("synth bass", "analog bass"),
    "piano": ("piano", "grand piano"),
    "organ": ("organ", "electric organ"),
    "acoustic guitar": ("acoustic guitar", "guitar"),
    "synth pad": ("synth pad", "warm pads"),
    "synth lead": ("synth lead", "lead synth"),
    "strings": ("strings", "string section"),
    "brass": ("brass", "horn section"),
    "acoustic drums": ("acoustic drums", "live drums", "drums"),
    "electronic drums": ("electronic drums", "drum machine", "drums"),
    **{name: (name,) for name in ("shaker", "congas")},
}
METRES = {2: "in two", 3: "in waltz time", 4: "in four four", 6: "in six eight"}
WISHES = ("make me", "I want", "write", "give me", "please create", "something like", "compose")


@dataclass(frozen=True, slots=True)
class Described:
    caption: str
    query: str
    """A short wish, as a user might type it."""


def families(song: Song) -> tuple[str, ...]:
    """What a listener may tell apart: the tracks of the song."""
    return song.tracks


def describe(song: Song, draw: np.random.Generator) -> Described:
    """The caption names every instrument of the song and no other."""
    names = [_name(name, draw) for name in song.instruments]
    drums = [name for name in song.instruments if name in DRUM_KITS]
    order = draw.permutation(len(names))
    played = [names[place] for place in order]
    tempo, mood = _tempo(song, draw), list(song.moods)
    metre = f" {METRES[song.meter]}" if draw.random() < 0.25 else ""
    key = f", in {song.key.name}" if draw.random() < 0.15 else ""
    without = "" if drums or draw.random() < 0.5 else ", no drums"
    form = int(draw.integers(5))
    if form == 0:
        text = f"A {mood[0]} {tempo} {song.words} track with {_listed(played)}{metre}{key}{without}"
    elif form == 1:
        text = f"{', '.join([tempo, *mood, song.words, *played])}{without}"
    elif form == 2:
        text = (
            f"{song.words.capitalize()}{metre}, {tempo} and {mood[0]}, featuring {_listed(played)}{without}"
        )
    elif form == 3:
        text = f"{_listed(played).capitalize()} in a {mood[0]} {song.words} piece, {tempo}{key}{without}"
    else:
        text = f"{mood[0].capitalize()} {song.words}, {_listed(played)}, {tempo}{metre}{key}{without}"
    some = played[: int(draw.integers(0, min(3, len(played)) + 1))]
    wish = f"{draw.choice(WISHES)} a {mood[0]} {song.words} song" + (
        f" with {_listed(some)}" if some else ""
    )
    return Described(text, wish)


def lyrics(song: Song, draw: np.random.Generator) -> str:
    """Tags of the form, or the one that says that nobody sings."""
    return song.lyrics if draw.random() < 0.5 else "[Instrumental]"


def _tempo(song: Song, draw: np.random.Generator) -> str:
    words = next(words for below, words in TEMPO_WORDS if song.bpm < below)
    return str(draw.choice(words))


def _name(instrument: str, draw: np.random.Generator) -> str:
    return str(draw.choice(NAMES[instrument]))


def _listed(names: list[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
