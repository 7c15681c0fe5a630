"""Audio to be uploaded: a file as it is, or samples in memory."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Audio as numbers in [-1, 1]."""

    data: NDArray[Any]
    """`[channels, samples]`, or `[samples]` for mono."""
    sample_rate_hz: int

    def as_file(self) -> io.BytesIO:
        """A WAV file of 32-bit floats, which loses nothing. Raises `ValueError` for another shape."""
        if self.data.ndim not in (1, 2):
            raise ValueError(
                f"samples must be [channels, samples] or [samples]; received {self.data.shape}"
            )
        file = io.BytesIO()
        samples = np.asarray(self.data.T, dtype=np.float32)
        soundfile.write(file, samples, self.sample_rate_hz, subtype="FLOAT", format="WAV")
        return file


Audio = Path | Samples
"""What can be uploaded."""


@contextmanager
def upload(audio: Audio) -> Iterator[Iterator[pb.UploadAudioRequest]]:
    """The messages that upload `audio`. Raises `OSError` for a file that cannot be read."""
    file: BinaryIO
    with audio.as_file() if isinstance(audio, Samples) else audio.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        yield _messages(file, size)


def _messages(file: BinaryIO, size: int) -> Iterator[pb.UploadAudioRequest]:
    yield pb.UploadAudioRequest(header=pb.UploadAudioRequest.Header(byte_count=size))
    while data := file.read(CHUNK_BYTES):
        yield pb.UploadAudioRequest(chunk=music_pb2.FileChunk(data=data))
