"""Events of a generation as messages. A file is cut into chunks only while it is read."""

from collections.abc import Iterator

from acestep.gateway.v1 import music_service_pb2 as pb
from common.music import CHANNELS, CHUNK_BYTES, SAMPLE_RATE_HZ
from gateway.encoding import FORMATS
from gateway.song import FinishedSong, SongEvent


def messages(event: SongEvent) -> Iterator[pb.GenerateMusicResponse]:
    if isinstance(event, FinishedSong):
        yield from _file_messages(event)
    else:
        yield event


def _file_messages(finished: FinishedSong) -> Iterator[pb.GenerateMusicResponse]:
    index, data = finished.song.song_index, finished.data
    start = pb.AudioStart(
        song_index=index,
        audio_format=finished.audio_format,
        media_type=FORMATS[finished.audio_format].media_type,
        sample_rate_hertz=SAMPLE_RATE_HZ,
        channel_count=CHANNELS,
        byte_count=len(data),
    )
    yield pb.GenerateMusicResponse(audio_start=start)
    for offset in range(0, len(data), CHUNK_BYTES):
        chunk = pb.AudioChunk(
            song_index=index, offset_bytes=offset, data=data[offset : offset + CHUNK_BYTES]
        )
        yield pb.GenerateMusicResponse(audio=chunk)
    yield pb.GenerateMusicResponse(song=finished.song)
