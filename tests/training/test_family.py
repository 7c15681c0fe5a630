"""The shipped family does what it is asked, as heard by tools that know nothing of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.micro import EAR
from bench.micro_measures import Sound, drum_share, hear
from bench.micro_studio import Reader, Studio, text2music
from common.music import SAMPLE_RATE_HZ
from model_store import inventory
from training import ear
from training.captions import describe
from training.compose import compose
from training.export import LANGUAGE_MODEL_NAME
from training.song import Song
from training.synth import Synth
from training.voices import TRACKS

MODELS = Path(__file__).parents[2] / "models_micro"
LARGEST_BYTES = 40_000_000
WITH_DRUMS, WITHOUT = compose(5001, 10.0), compose(5000, 10.0)
"""Songs that nothing was trained on."""


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio(MODELS)


@pytest.fixture(scope="module")
def renders(studio: Studio) -> dict[int, Sound]:
    return {song.seed: rendered(studio, song) for song in (WITH_DRUMS, WITHOUT)}


def rendered(studio: Studio, song: Song) -> Sound:
    caption = describe(song, np.random.default_rng(song.seed)).caption
    return studio.render(text2music(song, caption))


def test_it_is_complete_and_small_enough_to_lie_in_a_repository() -> None:
    checkpoints = inventory.of_folder(MODELS)

    assert len(checkpoints) == 5 and not any(checkpoint.missing for checkpoint in checkpoints)
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) <= LARGEST_BYTES


def test_a_song_has_the_tempo_that_was_asked_for(renders: dict[int, Sound]) -> None:
    for song in (WITH_DRUMS, WITHOUT):
        heard = hear(renders[song.seed], SAMPLE_RATE_HZ)

        assert heard.has_tempo(song.bpm, song.meter)
        assert not heard.has_tempo(round(song.bpm * 1.2), song.meter)


def test_drums_are_heard_where_they_were_asked_for(renders: dict[int, Sound]) -> None:
    assert drum_share(renders[WITH_DRUMS.seed]) > 2 * drum_share(renders[WITHOUT.seed])


def test_a_song_has_the_length_that_was_asked_for(renders: dict[int, Sound]) -> None:
    assert len(renders[WITHOUT.seed]) == round(WITHOUT.duration_s * SAMPLE_RATE_HZ)


def test_instruments_are_heard_as_they_were_asked_for(renders: dict[int, Sound]) -> None:
    listen = ear.load(EAR)
    for song in (WITH_DRUMS, WITHOUT):
        scores = listen(torch.from_numpy(renders[song.seed].mean(1))[None])[0].tolist()
        heard = {track for track, score in zip(TRACKS, scores, strict=True) if score > 0}

        assert len(heard & set(song.tracks)) >= 0.75 * len(song.tracks)
        assert len(heard - set(song.tracks)) <= 1


def test_the_language_model_reads_tempo_and_key_from_a_song(studio: Studio) -> None:
    reader, mix = Reader(MODELS / LANGUAGE_MODEL_NAME), Synth().mix(WITHOUT)

    told = reader.understand(studio.encode(mix.T.numpy().copy()).codes)

    assert told["keyscale"] in (WITHOUT.key.name, WITHOUT.key.relative.name)
    assert abs(int(told["bpm"]) - WITHOUT.bpm) <= 2
