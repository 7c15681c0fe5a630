"""Who does not read holds no stage, and no more memory than is set."""

import asyncio
from pathlib import Path

import grpc
import pytest

from acestep.client import connect
from acestep.errors import ServiceError
from gateway.shelf import Shelf, Unread
from gateway.uploads import Uploads
from tests.gateway.conftest import World, gateway_over
from tests.gateway.test_generate import song_request, songs_of


async def test_a_reader_that_has_read_nothing_gets_no_further_song_while_there_is_no_room() -> None:
    shelf = Shelf(max_bytes=100)
    slow, quick = Unread(shelf), Unread(shelf)
    slow.change(+100)
    waiting = asyncio.create_task(slow.room())

    await quick.room()  # it has nothing unread: its song is rendered

    assert not waiting.done()
    slow.change(-100)
    await waiting


async def test_nothing_more_is_taken_on_while_too_much_is_unread(world: World, tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "other", 2_000_000, 4_000_000, 60.0)
    ports = [world.lm_server.port], [world.dit_server.port]
    async with (
        gateway_over(*ports, uploads, max_unread_bytes=1_000_000) as address,
        connect(address) as client,
    ):
        slow = client.generate(song_request(duration_seconds=60.0))
        async for event in slow:
            if event.HasField("audio_start"):
                break

        with pytest.raises(ServiceError) as caught:
            await songs_of(client, song_request(seeds=(2,)))
        assert (caught.value.code, caught.value.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "FILES_UNREAD",
        )

        assert [event async for event in slow][-1].HasField("result")
        assert await songs_of(client, song_request(seeds=(2,)))


async def test_what_a_reader_left_behind_makes_room_again(world: World, tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "other", 2_000_000, 4_000_000, 60.0)
    ports = [world.lm_server.port], [world.dit_server.port]
    async with (
        gateway_over(*ports, uploads, max_unread_bytes=1_000_000) as address,
        connect(address) as client,
    ):
        left = client.generate(song_request(duration_seconds=60.0))
        async for event in left:
            if event.HasField("audio_start"):
                break

        await left.aclose()

        async with asyncio.timeout(5):
            while True:
                try:
                    assert await songs_of(client, song_request(seeds=(2,)))
                    break
                except ServiceError as error:
                    assert error.reason == "FILES_UNREAD"
