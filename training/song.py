"""A composed song: notes and hits of each part, before any sound."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.theory import Key

Notes = npt.NDArray[np.float32]
"""`[notes, 4]`: start and length in seconds, MIDI number (of a hit its place in `HITS`), strength."""


@dataclass(frozen=True, slots=True)
class Part:
    instrument: str
    """The name of a voice, of a drum kit, or of percussion."""
    track: str
    notes: Notes
    pan: float
    """From -1, left, to 1."""
    level: float
    kit: int | None = None
    """For drums and percussion: which kit's hits its notes are."""


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    start_s: float
    parts: tuple[str, ...]
    """The instruments that play."""


@dataclass(frozen=True, slots=True)
class Song:
    seed: int
    duration_s: float
    style: str
    moods: tuple[str, ...]
    words: str
    bpm: int
    key: Key
    meter: int
    parts: tuple[Part, ...]
    sections: tuple[Section, ...]

    @property
    def tracks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.track for part in self.parts))

    @property
    def instruments(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.instrument for part in self.parts))

    @property
    def lyrics(self) -> str:
        """Tags only: nobody sings."""
        return "\n\n".join(f"[{section.name}]" for section in self.sections)
