"""Songs made by rules: the same for a seed, in their tempo and key, and described truly."""

import numpy as np
import pytest
import torch

from training.captions import NAMES, describe, lyrics
from training.compose import compose
from training.song import Song
from training.styles import STYLES
from training.synth import PEAK, Synth
from training.theory import Key
from training.voices import DRUM_KITS, TRACKS, VOICES

SEEDS = range(200)


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    return [compose(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def synth() -> Synth:
    return Synth()


def test_a_seed_is_a_song() -> None:
    one, again = compose(7), compose(7)

    assert one.parts[0].notes.tobytes() == again.parts[0].notes.tobytes()
    assert (one.bpm, one.key, one.sections) == (again.bpm, again.key, again.sections)


def test_seeds_differ(songs: list[Song]) -> None:
    assert len({(song.style, song.bpm, song.key.name, song.meter) for song in songs}) > 150


def test_songs_cover_what_the_models_are_asked_for(songs: list[Song]) -> None:
    many = [*songs, *(compose(seed) for seed in range(200, 1200))]

    assert {song.key.name for song in many} == {
        Key(tonic, mode).name for tonic in range(12) for mode in ("major", "minor")
    }
    assert {song.meter for song in many} == {2, 3, 4, 6}
    assert {song.style for song in many} == {style.name for style in STYLES}
    assert {track for song in many for track in song.tracks} == set(TRACKS)
    tempi = [song.bpm for song in many]
    assert min(tempi) < 65 and max(tempi) > 175 and all(60 <= tempo <= 180 for tempo in tempi)


def test_notes_lie_within_the_song(songs: list[Song]) -> None:
    for song in songs:
        for part in song.parts:
            starts, lengths = part.notes[:, 0], part.notes[:, 1]
            assert starts.min() >= 0
            assert (starts + lengths).max() <= song.duration_s + 1e-3


def test_pitches_belong_to_the_key_or_its_dominant(songs: list[Song]) -> None:
    for song in songs:
        allowed = {song.key.pitch(degree, 4) % 12 for degree in range(7)}
        allowed.add((song.key.tonic + 11) % 12)  # the leading note of minor
        root_fifths = {(song.key.pitch(degree, 4) + 7) % 12 for degree in range(7)}
        for part in song.parts:
            if part.kit is None:
                assert set(part.notes[:, 2].astype(int) % 12) <= allowed | root_fifths


def test_a_caption_names_every_instrument_and_no_other(songs: list[Song]) -> None:
    for song in songs:
        caption = describe(song, np.random.default_rng(song.seed)).caption.lower()
        if "no drums" in caption:
            assert not set(song.instruments) & set(DRUM_KITS)
        for instrument in song.instruments:
            assert any(name.lower() in caption for name in NAMES[instrument]), (caption, instrument)
        for instrument in set(VOICES) - set(song.instruments):
            own = [name for name in NAMES[instrument] if not _part_of_others(name, song)]
            assert not any(f" {name.lower()}" in caption for name in own), (caption, instrument)


def _part_of_others(name: str, song: Song) -> bool:
    """Whether another instrument of the song, or its style, has these words too."""
    words = [word for instrument in song.instruments for word in NAMES[instrument]]
    return any(name in word for word in (*words, song.words))


def test_tags_follow_the_form() -> None:
    song = compose(0)
    tagged = [line[1:-1] for line in song.lyrics.split("\n\n")]

    assert tagged == [section.name for section in song.sections]
    assert lyrics(song, np.random.default_rng(0)) in (song.lyrics, "[Instrumental]")


def test_stems_add_up_to_the_mix_and_absent_tracks_are_silent(synth: Synth) -> None:
    song = compose(3, 10.0)

    stems = synth.stems([song])[0]

    assert stems.shape == (len(TRACKS), 2, 480_000)
    torch.testing.assert_close(stems.sum(0), synth.mix(song), atol=1e-5, rtol=0)
    audible = {TRACKS[place] for place in range(len(TRACKS)) if stems[place].abs().max() > 1e-4}
    assert audible == set(song.tracks)
    assert stems.sum(0).abs().max() <= PEAK + 1e-4


def test_a_song_sounds_alike_alone_and_among_others(synth: Synth) -> None:
    song = compose(4, 10.0)

    together = synth.stems([compose(5, 10.0), song])[1]

    torch.testing.assert_close(together, synth.stems([song])[0], atol=1e-4, rtol=0)
