"""A song's file: what libsndfile makes of its samples, in memory that is given back."""

import asyncio
import io
import os

import numpy as np
import pytest
import soundfile

from acestep.music.v1 import music_pb2
from common.music import SAMPLE_RATE_HZ
from gateway.encoding import FORMATS, MP3_LEVELS, FileFormat, SongFile

SAMPLES = np.random.default_rng(0).uniform(-0.9, 0.9, (2 * SAMPLE_RATE_HZ, 2)).astype("<f4")
PIECES = [piece.tobytes() for piece in np.array_split(SAMPLES, 5)]
BITS_PER_SECOND = 192_000


def open_songs() -> int:
    """Files of songs that this process has open, by the name of their memory."""
    return sum(opened(entry).startswith("/memfd:song") for entry in os.scandir("/proc/self/fd"))


def opened(entry: os.DirEntry[str]) -> str:
    try:
        return os.readlink(entry)
    except FileNotFoundError:  # closed meanwhile
        return ""


async def all_closed() -> None:
    """Return when they are; encoding that was begun goes on to its end."""
    async with asyncio.timeout(30):
        while open_songs():
            await asyncio.sleep(0.01)


def encoded_at_once(kind: FileFormat) -> bytes:
    options = (
        {"bitrate_mode": "CONSTANT", "compression_level": MP3_LEVELS[BITS_PER_SECOND]}
        if kind.container == "MP3"
        else {}
    )
    buffer = io.BytesIO()
    soundfile.write(buffer, SAMPLES, SAMPLE_RATE_HZ, kind.subtype, format=kind.container, **options)
    return buffer.getvalue()


def timeless(whole: bytes) -> bytes:
    """Without the time that libsndfile writes behind name, size and version of a WAV's peaks."""
    before, peaks, after = whole.partition(b"PEAK")
    return before + peaks + after[:8] + bytes(4) + after[12:] if peaks else whole


@pytest.mark.parametrize("kind", FORMATS.values(), ids=lambda kind: f"{kind.container}-{kind.subtype}")
async def test_a_file_written_in_pieces_is_the_file_written_at_once(kind: FileFormat) -> None:
    file = SongFile(kind, BITS_PER_SECOND)
    for piece in PIECES:
        await file.write(piece)

    assert await file.finish() == timeless(encoded_at_once(kind))
    file.discard()


async def test_a_file_does_not_say_when_it_was_written() -> None:
    file = SongFile(FORMATS[music_pb2.AUDIO_FORMAT_WAV32], BITS_PER_SECOND)
    await file.write(PIECES[0])

    whole = await file.finish()

    assert b"PEAK" in whole[:128]
    assert whole == timeless(whole)
    file.discard()


@pytest.mark.parametrize("pieces", [0, 1, 5])
async def test_a_file_given_up_is_closed(pieces: int) -> None:
    file = SongFile(next(iter(FORMATS.values())), BITS_PER_SECOND)
    for piece in PIECES[:pieces]:
        await file.write(piece)
    assert open_songs() == 1

    file.discard()

    await all_closed()


async def test_a_finished_file_is_closed_and_may_be_discarded() -> None:
    file = SongFile(next(iter(FORMATS.values())), BITS_PER_SECOND)
    await file.write(PIECES[0])

    await file.finish()

    assert not open_songs()
    file.discard()


async def test_a_file_whose_end_nobody_waits_for_is_closed() -> None:
    file = SongFile(next(iter(FORMATS.values())), BITS_PER_SECOND)
    await file.write(PIECES[0])
    ending = asyncio.create_task(file.finish())
    await asyncio.sleep(0)

    ending.cancel()
    file.discard()

    await all_closed()
