"""Songs made by rules: the same for a seed, in their tempo and key, and described truly."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.captions import NAMES, describe, lyrics
from training.compose import compose
from training.drumkits import FRAME
from training.song import Part, Song
from training.songs import composers, groups
from training.styles import STYLES
from training.synth import HIGH_TUNING_FRAMES, PEAK, TUNING_FRAMES, Synth, tuned_turns
from training.theory import Key
from training.voices import DRUM_KITS, HITS, TRACKS, VOICES

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


def test_songs_composed_ahead_are_the_same_in_the_same_order() -> None:
    sizes = [(2, 10.0), (1, 20.0), (2, 10.0)]
    with composers(2) as pool:
        ahead = list(groups(50, sizes, pool))

    for group, alone in zip(ahead, groups(50, sizes), strict=True):
        assert [song.seed for song, _ in group] == [song.seed for song, _ in alone]
        for (_, ours), (_, theirs) in zip(group, alone, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_notes_begin_on_ticks(songs: list[Song]) -> None:
    starts = np.concatenate([part.notes[:, 0] for song in songs for part in song.parts])

    np.testing.assert_allclose(starts * 100, np.round(starts * 100), atol=1e-3)


def test_a_key_is_told_by_the_first_ten_seconds(songs: list[Song]) -> None:
    """All seven notes of the scale sound, whatever the tempo."""
    full = [
        {pitch % 12 for part in song.parts if part.kit is None for pitch in part.notes[:, 2].astype(int)}
        for song in (compose(seed, 10.0) for seed in SEEDS)
    ]

    assert np.mean([len(pitches) >= 7 for pitches in full]) > 0.85


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


def test_tones_are_tuned_to_go_round_in_few_frames_and_stay_in_tune() -> None:
    pitches = np.arange(40, 90)
    turns = tuned_turns(pitches)
    cents = 1200 * np.log2(turns * 25 / TUNING_FRAMES / (440 * 2 ** ((pitches - 69) / 12)))

    assert (turns == turns.round()).all() and (turns[pitches >= 60] % 2 == 0).all()
    assert np.abs(cents).max() < 25 and np.abs(cents).mean() < 10


@pytest.mark.parametrize("pitch", [44, 61, 80])
def test_a_held_tone_repeats_in_time_with_the_frames_wherever_it_began(synth: Synth, pitch: int) -> None:
    def sound(start: float) -> torch.Tensor:
        notes = np.array([[start, 1.9 - start, pitch, 1.0]], np.float32)
        part = Part("organ", "keyboard", notes, pan=0.0, level=1.0)
        return synth.mix(replace(compose(0, 2.0), parts=(part,)))[0]

    period = (TUNING_FRAMES if pitch < 60 else HIGH_TUNING_FRAMES) * FRAME
    early, late = sound(0.1), sound(0.33)
    held = slice(20 * FRAME, 20 * FRAME + period)
    torch.testing.assert_close(early[held], early[held.stop : held.stop + period], atol=1e-5, rtol=0)
    one, other = (whole[held] / whole[held].square().mean().sqrt() for whole in (early, late))
    torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def test_noise_is_the_same_in_every_frame(synth: Synth) -> None:
    def hat(start: float) -> torch.Tensor:
        notes = np.array([[start, 0.1, HITS.index("open hat"), 1.0]], np.float32)
        part = Part("acoustic drums", "drums", notes, pan=0.0, level=1.0, kit=0)
        return synth.mix(replace(compose(0, 2.0), parts=(part,)))[0]

    one, later = hat(0.4), hat(0.4 + 5 * FRAME / 48_000)
    torch.testing.assert_close(one[: -5 * FRAME], later[5 * FRAME :], atol=1e-5, rtol=0)
