"""What helpers' targets say of a song agrees with its notes."""

import numpy as np

from common.music import LATENT_RATE_HZ
from training.marks import COUNT, HEARD, marks
from training.song import Part, Song
from training.theory import Key
from training.voices import HITS


def song(*parts: Part) -> Song:
    return Song(
        seed=0,
        duration_s=2.0,
        style="house",
        moods=("calm",),
        words="house",
        bpm=120,
        key=Key(0, "major"),
        meter=4,
        parts=parts,
        sections=(),
    )


def part(track: str, notes: list[tuple[float, float, int, float]], kit: int | None = None) -> Part:
    return Part("piano", track, np.array(notes, np.float32), pan=0.0, level=1.0, kit=kit)


def test_a_note_is_marked_while_it_sounds_and_where_it_begins() -> None:
    made = marks(song(part("keyboard", [(0.5, 0.4, 64, 1.0)])))

    assert made.shape == (2 * LATENT_RATE_HZ, COUNT)
    first, last = int(0.5 * LATENT_RATE_HZ), int(np.ceil(0.9 * LATENT_RATE_HZ))
    assert np.flatnonzero(made[:, 4]).tolist() == list(range(first, last))
    assert np.flatnonzero(made[:, HEARD - 1]).tolist() == [first]
    assert made[:, :HEARD].sum() == last - first + 1


def test_the_bass_has_places_of_its_own() -> None:
    made = marks(song(part("bass", [(0.0, 0.2, 36, 1.0)])))

    assert made[0, 12] and not made[:, :12].any()


def test_drums_are_marked_where_they_begin_under_the_name_of_their_kind() -> None:
    hits = [(0.0, 0.1, HITS.index("kick"), 1.0), (1.0, 0.1, HITS.index("clap"), 1.0)]

    made = marks(song(part("drums", hits, kit=0)))

    assert [(frame, place - 24) for frame, place in np.argwhere(made[:, :HEARD]).tolist()] == [
        (0, 0),
        (25, 1),
    ]


def test_beats_and_bars_are_marked_where_the_metre_has_them() -> None:
    made = marks(song(part("keyboard", [(0.5, 0.4, 64, 1.0)])))  # 120 to the minute, in four

    assert np.flatnonzero(made[:, HEARD]).tolist() == [0, 12, 25, 37]
    assert np.flatnonzero(made[:, HEARD + 1]).tolist() == [0]
