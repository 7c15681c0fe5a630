"""Samples to files, a chunk at a time, off the event loop."""

import asyncio
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Any

import numpy as np
import soundfile

from acestep.music.v1 import music_pb2
from common.music import CHANNELS, SAMPLE_RATE_HZ

MP3_LEVELS = {320_000: 0.0, 256_000: 0.2, 192_000: 0.4, 128_000: 0.65}
"""libsndfile's compression level for each constant bit rate; measured with libsndfile 1.2.2."""

HEADER_BYTES = 128
PEAK_TIME = 12
"""Where the chunk PEAK of a WAV has the time, four bytes, behind its name, its size and its version."""


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
    """A file that grows in memory while its song is decoded.

    The kernel keeps it, for to a Python file object libsndfile would hand each frame through Python's lock,
    2,800 times for a song of four minutes: with 36 songs at once it mostly waited for that.
    """

    def __init__(self, file_format: FileFormat, mp3_bits_per_second: int) -> None:
        options: dict[str, Any] = {}
        if file_format.container == "MP3":
            options = {"bitrate_mode": "CONSTANT", "compression_level": MP3_LEVELS[mp3_bits_per_second]}
        self._memory = io.FileIO(os.memfd_create("song"), "r+")
        self._file = soundfile.SoundFile(
            self._memory.fileno(),
            "w",
            SAMPLE_RATE_HZ,
            CHANNELS,
            subtype=file_format.subtype,
            format=file_format.container,
            closefd=False,
            **options,
        )
        self._work: asyncio.Future[Any] | None = None
        self.busy_s = 0.0
        """How long encoding took so far."""

    async def write(self, samples: bytes) -> None:
        """Append interleaved little-endian float32 samples, once those before are encoded.

        Returns while these are, so that the next can be received meanwhile. Raises what encoding those
        before raised.
        """
        await self._outcome()
        self._begin(self._file.write, np.frombuffer(samples, "<f4").reshape(-1, CHANNELS))

    async def finish(self) -> bytes:
        """The whole file. Nothing can be appended after it."""
        await self._outcome()
        self._begin(self._whole)
        whole: bytes = await self._outcome()
        return whole

    def discard(self) -> None:
        """Free what the file holds. Nothing can be done with it after that."""
        if self._work is None or self._work.done():
            self._free_aside()
        else:  # a cancelled write goes on in its thread, and libsndfile must not be closed under it
            self._work.add_done_callback(lambda _: self._free_aside())

    def _begin(self, function: Callable[..., Any], *arguments: Any) -> None:
        def work() -> Any:
            started = time.monotonic()
            outcome = function(*arguments)
            self.busy_s += time.monotonic() - started
            return outcome

        self._work = asyncio.get_running_loop().run_in_executor(None, work)

    async def _outcome(self) -> Any:
        """Of what was begun last, once it is done."""
        return None if self._work is None else await asyncio.shield(self._work)

    def _whole(self) -> bytes:
        self._file.close()
        self._forget_time()
        self._memory.seek(0)
        whole = self._memory.read()
        self._memory.close()
        return whole

    def _forget_time(self) -> None:
        """In WAV of floats libsndfile notes peaks, and when: the same song twice would be two files."""
        handle = self._memory.fileno()
        if (peaks := os.pread(handle, HEADER_BYTES, 0).find(b"PEAK")) >= 0:
            os.pwrite(handle, bytes(4), peaks + PEAK_TIME)

    def _free_aside(self) -> None:
        """Hundreds of megabytes take tens of milliseconds, and the loop's own threads may be closing."""
        if not self._memory.closed:
            Thread(target=self._free).start()

    def _free(self) -> None:
        try:
            self._file.close()
        finally:
            self._memory.close()
