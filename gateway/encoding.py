"""Samples to files, a chunk at a time, off the event loop."""

import asyncio
import io
import time
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
        self._work: asyncio.Future[None] | None = None
        self.busy_s = 0.0
        """How long encoding took so far."""

    async def write(self, samples: bytes) -> None:
        """Append interleaved little-endian float32 samples, once those before are encoded.

        Returns while these are, so that the next can be received meanwhile. Raises what encoding those
        before raised.
        """
        await self._at_rest()
        self._begin(self._file.write, np.frombuffer(samples, "<f4").reshape(-1, CHANNELS))

    async def finish(self) -> bytes:
        """The whole file. Nothing can be appended after it."""
        await self._at_rest()
        self._begin(self._file.close)
        await self._at_rest()
        return self._buffer.getvalue()

    def discard(self) -> None:
        """Free what an unfinished file holds. Does nothing after `finish`."""
        if self._work is None or self._work.done():
            self._file.close()
        else:  # a cancelled write goes on in its thread, and libsndfile must not be closed under it
            self._work.add_done_callback(lambda _: self._file.close())

    def _begin(self, function: Callable[..., Any], *arguments: Any) -> None:
        def work() -> None:
            started = time.monotonic()
            function(*arguments)
            self.busy_s += time.monotonic() - started

        self._work = asyncio.get_running_loop().run_in_executor(None, work)

    async def _at_rest(self) -> None:
        if self._work is not None:
            await asyncio.shield(self._work)
