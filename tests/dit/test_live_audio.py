"""A song that is heard while it is still decoded, seen from the client's side of the wire."""

import numpy as np
import pytest

from acestep.dit.v1 import dit_service_pb2 as pb
from common.music import CHUNK_BYTES
from dit_service.engine import Waveform
from tests.dit.conftest import DitConnector
from tests.dit.fakes import FakeEngine
from tests.dit.test_files import REPAINT, SOUND, file, region, song_of, source
from tests.dit.test_render import events_of, job, next_of, requests


def live_of(events: list[pb.RenderResponse]) -> Waveform:
    """The pieces put together. Each must begin where the one before it ended."""
    pieces, at = [np.empty((0, 2), np.float32)], 0
    for event in events:
        if event.HasField("live_audio"):
            assert event.live_audio.first_sample == at
            assert len(event.live_audio.chunk.samples) <= CHUNK_BYTES
            assert (event.live_audio.chunk.sample_rate_hertz, event.live_audio.chunk.channel_count) == (
                48_000,
                2,
            )
            pieces.append(np.frombuffer(event.live_audio.chunk.samples, "<f4").reshape(-1, 2))
            at += len(pieces[-1])
    return np.concatenate(pieces)


async def test_the_first_sound_comes_before_the_last_tile_is_decoded(connect: DitConnector) -> None:
    engine = FakeEngine(step_count=1, tile_count=3, paused=True)
    async with connect(engine) as dit:
        call = dit.Render(requests(job(stream_audio=True)))
        engine.allow(1 + 1)  # a step, and the first tile
        first = await next_of(call, "live_audio")
        engine.allow(2)
        events = [first, *await events_of(call)]

    assert first.live_audio.first_sample == 0
    assert len(live_of(events)) == len(song_of(events)) == 480_000


async def test_the_pieces_times_the_gain_are_the_song_with_its_fades(connect: DitConnector) -> None:
    wishes = pb.Finish(normalization_db=-6, fade_in_seconds=4, fade_out_seconds=7.5)
    async with connect(FakeEngine(tile_count=3)) as dit:
        events = await events_of(dit.Render(requests(job(stream_audio=True, finish=wishes))))

    gain = events[-1].result.live_gain
    assert gain == pytest.approx(10 ** (-6 / 20) / 0.5, rel=1e-3)
    np.testing.assert_allclose(live_of(events) * gain, song_of(events), rtol=1e-6)


async def test_a_repaint_is_heard_with_its_sources_own_samples(connect: DitConnector) -> None:
    order = job(repaint=region(2.0, 3.0), stream_audio=True, **REPAINT)
    async with connect(FakeEngine(tile_count=4)) as dit:
        events = await events_of(dit.Render(requests(order, *source(file(SOUND)))))

    assert events[-1].result.live_gain == 1
    np.testing.assert_array_equal(live_of(events), song_of(events))
    np.testing.assert_array_equal(live_of(events)[:90_000], SOUND[:90_000])


async def test_nothing_is_streamed_that_was_not_asked_for(connect: DitConnector) -> None:
    async with connect(FakeEngine(tile_count=3)) as dit:
        events = await events_of(dit.Render(requests(job())))

    assert not len(live_of(events))
    assert events[-1].result.live_gain == pytest.approx(10 ** (-1 / 20) / 0.5, rel=1e-3)


async def test_a_listener_that_stops_reading_does_not_hold_the_device(connect: DitConnector) -> None:
    async with connect(FakeEngine(tile_count=3)) as dit:
        stalled = dit.Render(requests(job(seed=1, duration_s=120.0, stream_audio=True)))
        await next_of(stalled, "live_audio")
        events = await events_of(dit.Render(requests(job(seed=2))))
        stalled.cancel()

    assert events[-1].HasField("result")
