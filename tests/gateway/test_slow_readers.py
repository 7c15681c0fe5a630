"""Who does not read holds no stage, and no more memory than is set."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from acestep.client import connect
from acestep.errors import ServiceError
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from gateway.shelf import Shelf, Unread
from gateway.uploads import Uploads
from tests.gateway.conftest import World, gateway_over, opened_world
from tests.gateway.fakes import FakeLm
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


class SecondSongLater(FakeLm):
    """Writes the codes of the song with seed 2 when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on, self.written = asyncio.Event(), asyncio.Event()

    async def GenerateCodes(
        self, request: lm_pb.GenerateCodesRequest, context: Any
    ) -> AsyncIterator[lm_pb.GenerateCodesResponse]:
        if request.sampling.seed == 2:
            await self.may_go_on.wait()
        async for event in super().GenerateCodes(request, context):
            yield event
        if request.sampling.seed == 2:
            self.written.set()


async def test_the_next_song_of_a_request_is_not_rendered_while_too_much_of_it_is_unread(
    tmp_path: Path,
) -> None:
    lm, uploads = SecondSongLater(), Uploads(tmp_path / "other", 2_000_000, 4_000_000, 60.0)
    async with (
        opened_world(tmp_path, lm=lm) as world,
        gateway_over(
            [world.lm_server.port], [world.dit_server.port], uploads, max_unread_bytes=1_000_000
        ) as address,
        connect(address) as client,
    ):
        events = client.generate(song_request(seeds=(1, 2), duration_seconds=60.0))
        async for event in events:
            if event.HasField("audio_start"):
                break
        lm.may_go_on.set()
        await lm.written.wait()
        for _ in range(10):
            await client.capabilities()

        assert [job.seed for job in world.dit.jobs] == [1]
        rest = [event async for event in events]

    assert rest[-1].result.succeeded_count == 2


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
