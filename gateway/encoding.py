"""Samples to files, a chunk at a time, off the event loop."""

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile

from acestep.music.v1 import music_pb2
from common.music import CHANNELS, SAMPLE_RATE_HZ

MP3_LEVELS = {320_000: 0.0, 256_000: 0.2, 192_000: 0.4, 128_000: 0.65}
"""libsndfile's compression level for each constant bit rate; measured with libsndfile 1.2.2."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A file format as soundfile names it."""

    container: str
    subtype: str
    media_type: str


FORMATS = {
    music_pb2.AUDIO_FORMAT_FLAC: FileFormat("FLAC", "PCM_16", "audio/flac"),
    music_pb2.AUDIO_FORMAT_WAV: FileFormat("WAV", "PCM_16", "audio/wav"),
    music_pb2.AUDIO_FORMAT_MP3: FileFormat("MP3", "MPEG_LAYER_III", "audio/mpeg"),
    music_pb2.AUDIO_FORMAT_WAV32: FileFormat("WAV", "FLOAT", "audio/wav"),
}


class SongFile:
    """A file that grows in memory while its song is decoded."""

    def __init__(self, file_format: FileFormat, mp3_bits_per_second: int) -> None:
        options: dict[str, Any] = {}
        if file_format.container == "MP3":
            options = {"bitrate_mode": "CONSTANT", "compression_level": MP3_LEVELS[mp3_bits_per_second]}
        self._buffer = io.BytesIO()
        self._file = soundfile.SoundFile(
            self._buffer,
            "w",
            SAMPLE_RATE_HZ,
            CHANNELS,
            subtype=file_format.subtype,
            format=file_format.container,
            **options,
        )
        self._work: asyncio.Future[Any] | None = None

    async def write(self, samples: bytes) -> None:
        """Append interleaved little-endian float32 samples."""
        await self._off_loop(self._file.write, np.frombuffer(samples, "<f4").reshape(-1, CHANNELS))

    async def finish(self) -> bytes:
        """The whole file. Nothing can be appended after it."""
        await self._off_loop(self._file.close)
        return self._buffer.getvalue()

    def discard(self) -> None:
        """Free what an unfinished file holds. Does nothing after `finish`."""
        if self._work is None or self._work.done():
            self._file.close()
        else:  # a cancelled write goes on in its thread, and libsndfile must not be closed under it
            self._work.add_done_callback(lambda _: self._file.close())

    async def _off_loop(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._work = asyncio.get_running_loop().run_in_executor(None, function, *arguments)
        await asyncio.shield(self._work)
