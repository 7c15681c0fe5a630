"""Songs that are heard while they are decoded: through the gateway, and by its reader."""

import asyncio
import io

import numpy as np
import soundfile

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from gateway.shelf import LIVE_BYTES
from tests.gateway.conftest import World
from tests.gateway.test_generate import events_of, song_request, songs_of

STREAMED = pb.OutputParams(stream_audio=True, audio_format=music_pb2.AUDIO_FORMAT_WAV32)


async def test_sound_arrives_while_the_song_is_still_decoded(world: World) -> None:
    world.dit.live_gate.close()
    call = world.client.generate(song_request(output=STREAMED), timeout_s=30)
    async for event in call:
        if event.HasField("live_audio"):
            break
    assert event.live_audio.first_sample == 0
    assert world.dit.live_pieces_sent == 1
    world.dit.live_gate.open()

    rest = [event async for event in call]

    assert rest[-1].HasField("result")


async def test_the_pieces_times_the_gain_are_the_song_in_its_file(world: World) -> None:
    events = await events_of(world.client, song_request(seeds=(1, 2), output=STREAMED))

    songs = {event.song.song_index: event.song for event in events if event.HasField("song")}
    data = dict.fromkeys(songs, b"")
    for event in events:
        if event.HasField("audio"):
            data[event.audio.song_index] += event.audio.data
    for index, song in songs.items():
        pieces = [
            event.live_audio
            for event in events
            if event.HasField("live_audio") and event.live_audio.song_index == index
        ]
        live = np.frombuffer(b"".join(piece.chunk.samples for piece in pieces), "<f4").reshape(-1, 2)
        file, _ = soundfile.read(io.BytesIO(data[index]), dtype="float32")
        assert [piece.first_sample for piece in pieces] == list(range(0, 480_000, 32_768))
        np.testing.assert_allclose(live * song.live_gain, file, rtol=1e-6)


async def test_a_listener_that_is_slow_fills_no_memory_and_holds_up_no_other_call(world: World) -> None:
    slow = world.client.generate(song_request(output=STREAMED, duration_seconds=600.0), timeout_s=60)
    async for event in slow:
        if event.HasField("live_audio"):
            break

    assert await songs_of(world.client, song_request(seeds=(2,)))

    # Pieces wait in the gateway's own list, and in the windows of two connections; not all 879 of them.
    assert LIVE_BYTES // (256 * 1024) <= world.dit.live_pieces_sent < 400
    *_, end = [event async for event in slow]
    assert end.HasField("result")


async def test_listeners_that_are_slow_leave_the_diffusion_to_others(world: World) -> None:
    slow = [
        world.client.generate(song_request(seeds=(seed,), output=STREAMED, duration_seconds=120.0))
        for seed in (1, 2, 3)
    ]
    # One more than songs that the diffusion is given at once; after 60 s without reading they are cut off.
    for listener in slow:
        async with asyncio.timeout(40):
            async for event in listener:
                if event.HasField("live_audio"):
                    break

    async with asyncio.timeout(40):
        assert await songs_of(world.client, song_request(seeds=(9,)))

    for listener in slow:
        await listener.aclose()


async def test_live_audio_is_not_sent_unasked(world: World) -> None:
    events = await events_of(world.client, song_request())

    assert not any(event.HasField("live_audio") for event in events)
