"""Put the files of a generation together from its events."""

import hashlib
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class SongCollector:
    """Feed it every event of `Client.generate`; `add` returns a song when one is complete."""

    files: list[SongFile] = field(default_factory=list)
    _data: bytearray = field(default_factory=bytearray)
    _start: pb.AudioStart = field(default_factory=pb.AudioStart)

    def add(self, event: pb.GenerateMusicResponse) -> SongFile | None:
        """Raises `ValueError` if a file arrived incomplete or damaged."""
        kind = event.WhichOneof("event")
        if kind == "audio_start":
            self._start, self._data = event.audio_start, bytearray()
        elif kind == "audio":
            self._data += event.audio.data
        elif kind == "song":
            file = SongFile(event.song)
            if not event.song.HasField("error"):
                file.data, file.suffix = bytes(self._data), SUFFIXES[self._start.audio_format]
                if hashlib.sha256(file.data).hexdigest() != event.song.audio_sha256:
                    raise ValueError(f"song {event.song.song_index} arrived damaged")
            self.files.append(file)
            return file
        return None
