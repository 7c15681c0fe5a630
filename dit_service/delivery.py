"""How sound leaves the service: piece by piece while it is decoded, and finished at the end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from acestep.dit.v1 import dit_service_pb2 as dit_pb2
from dit_service import wire
from dit_service.canvas import SAMPLES_PER_FRAME
from dit_service.engine import Piece, Song
from dit_service.finish import Finish, Finished, fade, finish, level
from dit_service.loudness import Loudness, measure
from dit_service.orders import RenderOrder
from dit_service.splice import splice, splice_piece


def live(piece: Piece, order: RenderOrder) -> Iterator[dit_pb2.RenderResponse]:
    """`piece` as messages: as it will be in the song, but for the song's gain.

    Each message is made from a copy: the song, whose memory the piece shares, is finished later.
    """
    total_samples = order.job.frame_count * SAMPLES_PER_FRAME
    for start in range(0, len(piece.waveform), wire.LIVE_SAMPLES):
        part = piece.waveform[start : start + wire.LIVE_SAMPLES].copy()
        first_sample = piece.first_sample + start
        splice_piece(part, first_sample, order.job)
        fade(part, first_sample, total_samples, order.finish)
        yield wire.live_audio(part, first_sample)


@asynccontextmanager
async def measuring(song: Song) -> AsyncIterator[asyncio.Task[Loudness]]:
    """Measure a finished song on a thread of its own, while the block sends it."""
    task = asyncio.create_task(asyncio.to_thread(measure, song.waveform))
    try:
        yield task
    finally:
        task.cancel()  # without effect on one that is done


def finish_render(song: Song, order: RenderOrder) -> Finished:
    """Splice, scale and fade `song` in place; blocking."""
    splice(song.waveform, order.job)
    return finish_song(song, order.finish)


def finish_song(song: Song, wishes: Finish) -> Finished:
    """Scale and fade `song` in place; blocking."""
    before = level(song.waveform)
    return Finished(before, finish(song.waveform, before.peak, wishes))
