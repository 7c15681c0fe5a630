"""Put the songs of a generation together from its events."""

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2

SUFFIXES = {
    music_pb2.AUDIO_FORMAT_FLAC: ".flac",
    music_pb2.AUDIO_FORMAT_WAV: ".wav",
    music_pb2.AUDIO_FORMAT_MP3: ".mp3",
    music_pb2.AUDIO_FORMAT_WAV32: ".wav",
}


@dataclass(slots=True)
class SongFile:
    """A finished song, or why it failed (`song.error`)."""

    song: pb.Song
    data: bytes = b""
    suffix: str = ""

    @property
    def failed(self) -> bool:
        return self.song.HasField("error")

    def samples(self) -> NDArray[np.float32]:
        """`[channels, samples]` float32 in [-1, 1], at 48 kHz, as the file holds them."""
        decoded, _ = soundfile.read(io.BytesIO(self.data), dtype="float32", always_2d=True)
        return np.ascontiguousarray(decoded.T)

    def save(self, stem: Path) -> Path:
        """Write the file to `stem` with the format's suffix. Raises `OSError`."""
        path = stem.with_name(stem.name + self.suffix)
        path.write_bytes(self.data)
        return path


@dataclass(frozen=True, slots=True)
class Songs:
    """All that a generation gave."""

    files: tuple[SongFile, ...]
    """By song index, failed songs included."""
    accepted: pb.Accepted
    """The request with its defaults, and its seeds."""
    plan: pb.Plan
    result: pb.GenerateMusicResult


@dataclass(slots=True)
class SongCollector:
    """Feed it every event of a generation; `add` returns a song when one is complete."""

    files: list[SongFile] = field(default_factory=list)
    """As they were finished."""
    accepted: pb.Accepted = field(default_factory=pb.Accepted)
    plan: pb.Plan = field(default_factory=pb.Plan)
    result: pb.GenerateMusicResult = field(default_factory=pb.GenerateMusicResult)
    _data: bytearray = field(default_factory=bytearray)
    _start: pb.AudioStart = field(default_factory=pb.AudioStart)

    def add(self, event: pb.GenerateMusicResponse) -> SongFile | None:
        """Raises `ValueError` if a file arrived incomplete or damaged."""
        match event.WhichOneof("event"):
            case "accepted":
                self.accepted = event.accepted
            case "plan":
                self.plan = event.plan
            case "result":
                self.result = event.result
            case "audio_start":
                self._start, self._data = event.audio_start, bytearray()
            case "audio":
                self._data += event.audio.data
            case "song":
                self.files.append(self._finished(event.song))
                return self.files[-1]
        return None

    def finish(self) -> Songs:
        """Everything, once the last event was added."""
        files = tuple(sorted(self.files, key=lambda file: file.song.song_index))
        return Songs(files, self.accepted, self.plan, self.result)

    def _finished(self, song: pb.Song) -> SongFile:
        if song.HasField("error"):
            return SongFile(song)
        data = bytes(self._data)
        if hashlib.sha256(data).hexdigest() != song.audio_sha256:
            raise ValueError(f"song {song.song_index} arrived damaged")
        return SongFile(song, data, SUFFIXES[self._start.audio_format])
