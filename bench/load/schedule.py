"""What is asked for and when: drawn once from a seed, so that two runs ask the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Kind(StrEnum):
    """What a caller wants."""

    SONG = "song"
    """A song from a caption, by the diffusion alone."""
    THINKING = "thinking"
    """A song that the language model plans and writes codes for."""
    COVER = "cover"
    """A song after uploaded audio."""
    UNDERSTAND = "understand"
    CREATE = "create"
    FORMAT = "format"

    @property
    def makes_sound(self) -> bool:
        return self in (Kind.SONG, Kind.THINKING, Kind.COVER)


DEFAULT_MIX = {
    Kind.SONG: 3.0,
    Kind.THINKING: 4.0,
    Kind.COVER: 1.0,
    Kind.UNDERSTAND: 1.0,
    Kind.CREATE: 1.0,
    Kind.FORMAT: 1.0,
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to be."""

    at_s: float
    """When it is sent, after the start, whatever became of those before it."""
    kind: Kind
    song_s: float
    """Length of the song, or of what is to be understood."""
    seed: int


def poisson(
    rate_hz: float, seconds: float, mix: Mapping[Kind, float], lengths_s: Sequence[float], seed: int
) -> list[Ask]:
    """Arrivals of a Poisson process; kinds by their weights, lengths evenly.

    Raises `ValueError` for a rate or weights that are not positive.
    """
    if not (rate_hz > 0 and sum(mix.values()) > 0 and min(mix.values()) >= 0 and lengths_s):
        raise ValueError("rate and weights must be positive, and there must be a length")
    draw = np.random.default_rng(seed)
    kinds, weights = [*mix], np.array([*mix.values()])
    asks = list[Ask]()
    at_s = draw.exponential(1 / rate_hz)
    while at_s < seconds:
        kind = kinds[draw.choice(len(kinds), p=weights / weights.sum())]
        asks.append(Ask(float(at_s), kind, float(draw.choice(lengths_s)), int(draw.integers(2**31))))
        at_s += draw.exponential(1 / rate_hz)
    return asks


def parse_mix(text: str) -> dict[Kind, float]:
    """`song=3,thinking=4` as weights. Raises `ValueError`."""
    pairs = (part.partition("=") for part in text.split(","))
    return {Kind(name.strip()): float(weight) for name, _, weight in pairs}
