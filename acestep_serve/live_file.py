"""A song's sound in a WAV file that grows while the song is decoded, or in a pipe to a player."""

import asyncio
import contextlib
import struct
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from acestep.gateway.v1 import music_service_pb2 as pb

RATE_HZ = 48_000
FRAME_BYTES = 2 * 4
FLOAT = 3
HEADER_BYTES = 44
LENGTH_UNKNOWN = 0xFFFF_FFFF
"""What players take for: until it ends."""


class LiveFile:
    """Feed it every event of `Client.generate`; it keeps the live audio of the first song.

    Samples are 32-bit floats, since the model's own level can lie beyond full scale. Writing runs
    beside the generation: a player that takes its time holds up nothing but the end of the block.
    """

    def __init__(self, target: str) -> None:
        """`-` is standard output. Raises `OSError` if the file cannot be written."""
        self._file: IO[bytes] = sys.stdout.buffer if target == "-" else Path(target).open("wb")  # noqa: SIM115
        self._heard_samples = 0
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write_all())
        return self

    def add(self, event: pb.GenerateMusicResponse) -> None:
        live = event.live_audio
        # What is told again, because the work began anew elsewhere, was heard already.
        if (
            event.HasField("live_audio")
            and live.song_index == 0
            and live.first_sample == self._heard_samples
        ):
            self._heard_samples += len(live.chunk.samples) // FRAME_BYTES
            self._waiting.put_nowait(live.chunk.samples)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writing is not None
        if kind is not None:
            self._writing.cancel()
        self._waiting.put_nowait(None)
        with contextlib.suppress(asyncio.CancelledError):
            await self._writing

    async def _write_all(self) -> None:
        try:
            await asyncio.to_thread(self._write, _header(LENGTH_UNKNOWN))
            while (samples := await self._waiting.get()) is not None:
                await asyncio.to_thread(self._write, samples)
            await asyncio.to_thread(self._complete)
        except BrokenPipeError:  # the player was closed; the song goes on into its file
            return

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()

    def _complete(self) -> None:
        """Say how long it became, where there is a way back to the header."""
        if self._file.seekable():
            self._file.seek(0)
            self._write(_header(self._heard_samples * FRAME_BYTES))
        if self._file is not sys.stdout.buffer:
            self._file.close()


def _header(sound_bytes: int) -> bytes:
    """Of a WAV file of stereo floats with so many bytes of sound."""
    riff_bytes = min(LENGTH_UNKNOWN, sound_bytes + HEADER_BYTES - 8)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", riff_bytes, b"WAVE", b"fmt ", 16, FLOAT, 2, RATE_HZ, RATE_HZ * FRAME_BYTES),
        *(FRAME_BYTES, 32, b"data", sound_bytes),
    )
