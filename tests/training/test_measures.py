"""The ears of the bench, on sounds whose truth is known."""

import numpy as np
import pytest

from bench.micro_measures import Heard, Sound, drum_share, hear

RATE_HZ = 48_000


def clicks(bpm: float, seconds: float) -> Sound:
    sound = np.zeros((int(seconds * RATE_HZ), 2), np.float32)
    for beat in np.arange(0, seconds - 0.1, 60 / bpm):
        at = int(beat * RATE_HZ)
        sound[at : at + 2400] += np.random.default_rng(0).normal(0, 0.3, (2400, 2)).astype(np.float32)
    return sound


def chord(notes: tuple[int, ...], seconds: float) -> Sound:
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * t) for note in notes)
    return np.stack([wave, wave], 1).astype(np.float32) * np.float32(0.1)


@pytest.mark.parametrize("bpm", [83, 127])
def test_clicks_have_their_tempo(bpm: int) -> None:
    heard = hear(clicks(bpm, 12) + 0.01 * chord((60,), 12)[: 12 * RATE_HZ], RATE_HZ)

    assert heard.has_tempo(bpm, 4)
    assert not heard.has_tempo(round(bpm * 1.2), 4)


def test_a_cadence_has_its_key() -> None:
    cadence = [chord(notes, 1.5) for notes in ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))]

    heard = hear(np.concatenate(cadence), RATE_HZ)

    assert (heard.tonic, heard.mode) == (0, "major")


def test_the_relative_key_counts_and_others_do_not() -> None:
    heard = Heard(bpm=100, tonic=9, mode="minor")

    assert heard.has_key(0, "major") and heard.has_key(9, "minor")
    assert not heard.has_key(9, "major") and not heard.has_key(7, "major")


def test_clicks_are_more_percussive_than_a_chord() -> None:
    assert drum_share(clicks(120, 4)) > 3 * drum_share(chord((60, 64, 67), 4))
