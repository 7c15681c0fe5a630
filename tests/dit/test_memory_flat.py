"""What is done to a song, or to a file, takes little memory beyond the song's own."""

import io
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from dit_service.audio_in import GatheredFile, read_audio
from dit_service.canvas import Region
from dit_service.engine import Keeping, SourceSound, Task, Waveform
from dit_service.finish import Finish, finish, level
from dit_service.loudness import measure
from dit_service.splice import splice, splice_piece
from dit_service.wire import LIVE_SAMPLES
from tests.dit.jobs import JOB

SECONDS = 240
MIB = 2**20


@pytest.fixture
def song() -> Waveform:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 48_000).astype(np.float32)
    return np.tile(noise[:, None], (SECONDS, 2))


def extra_mib(work: Callable[[], object]) -> float:
    """The most that `work` had allocated at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


def test_a_song_is_judged_finished_and_measured_in_blocks(song: Waveform) -> None:
    assert song.nbytes > 80 * MIB

    assert extra_mib(lambda: level(song)) < 20
    assert extra_mib(lambda: finish(song, 0.5, Finish(fade_in_s=10, fade_out_s=10))) < 20
    assert extra_mib(lambda: measure(song)) < 40


def test_a_source_is_spliced_in_blocks(song: Waveform) -> None:
    keeping = Keeping(held_share=1.0, latent_fade_frames=0, splices=True, sound_fade_s=0.05)
    job = replace(JOB, task=Task.REPAINT, regions=(Region(-5.0, 9.0),), keeping=keeping)
    job = replace(job, source=SourceSound(song[: -5 * 48_000]))
    decoded = song.copy()

    assert extra_mib(lambda: splice(decoded, job)) < 40


def test_a_piece_is_spliced_without_memory_of_its_regions_size(song: Waveform) -> None:
    keeping = Keeping(held_share=1.0, latent_fade_frames=0, splices=True, sound_fade_s=0.05)
    job = replace(JOB, task=Task.REPAINT, regions=(Region(1.0, SECONDS - 1.0),), keeping=keeping)
    job = replace(job, source=SourceSound(song))
    piece = song[:LIVE_SAMPLES].copy()

    assert extra_mib(lambda: splice_piece(piece, 48_000, job)) < 8


def test_a_file_is_decoded_into_the_memory_of_its_sound_alone(song: Waveform) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, song, 48_000, format="WAV", subtype="PCM_16")
    file = GatheredFile(buffer.getvalue())

    assert extra_mib(lambda: read_audio(file, "audio")) < song.nbytes / MIB + 20
