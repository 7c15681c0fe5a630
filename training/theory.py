"""Keys, scales and chords, in MIDI numbers."""

from dataclasses import dataclass

TONICS = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}
"""Each pitch class in its usual spelling, from C upwards."""

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


@dataclass(frozen=True, slots=True)
class Key:
    tonic: int
    """Pitch class, C is 0."""
    mode: str
    """`major` or `minor`."""

    @property
    def name(self) -> str:
        """As the models know it, such as `F# minor`."""
        return f"{TONICS[self.mode][self.tonic]} {self.mode}"

    @property
    def relative(self) -> "Key":
        """The other key of the same notes."""
        return (
            Key((self.tonic + 9) % 12, "minor")
            if self.mode == "major"
            else Key((self.tonic + 3) % 12, "major")
        )

    def pitch(self, degree: int, octave: int) -> int:
        """MIDI number of a scale degree, 0 is the tonic; degrees go on into other octaves."""
        turns, step = divmod(degree, 7)
        return 12 * (octave + 1 + turns) + self.tonic + SCALES[self.mode][step]

    def chord(self, degree: int, size: int, octave: int) -> list[int]:
        """Thirds stacked on a scale degree."""
        return [self.pitch(degree + 2 * place, octave) for place in range(size)]


def close_to(notes: list[int], centre: float) -> list[int]:
    """The same pitch classes, each moved by octaves to lie nearest above `centre - 6`."""
    low = round(centre) - 6
    return sorted(low + (note - low) % 12 for note in notes)
