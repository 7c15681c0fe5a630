"""A request that is sent again with its id: it joins, or gets the result, and nothing is made twice."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
import pytest

from acestep.client import connect
from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from gateway.deadline import Deadline
from gateway.generations import Generations, Work
from gateway.shelf import Shelf, Unread
from gateway.song import FinishedSong, SongEvent
from gateway.uploads import Uploads
from tests.gateway.conftest import World, gateway_over
from tests.gateway.test_generate import events_of, song_request, songs_of


def named(**fields: Any) -> pb.GenerateMusicRequest:
    return song_request(request_id="song-1", **fields)


async def rendering(world: World, request: pb.GenerateMusicRequest) -> asyncio.Task[Any]:
    """A caller whose song has come to the diffusion, and waits there."""
    world.dit.gate.close()
    caller = asyncio.create_task(events_of(world.client, request))
    await world.dit.gate.waiting.wait()
    return caller


async def test_a_repeated_request_joins_the_one_that_runs(world: World) -> None:
    first = await rendering(world, named())
    second = world.client.generate(named())
    told = [(await anext(second)).WhichOneof("event") for _ in range(3)]

    world.dit.gate.open()

    rest = [event async for event in second]
    assert told == ["accepted", "plan", "progress"]
    songs = [event.song for event in (*rest, *await first) if event.HasField("song")]
    assert len({song.audio_sha256 for song in songs}) == 1
    assert len(songs) == 2
    assert len(world.dit.jobs) == 1


async def test_what_a_finished_request_made_is_sent_again(world: World) -> None:
    (first,) = await songs_of(world.client, named())

    again = await events_of(world.client, named())

    assert b"".join(event.audio.data for event in again) == first.data
    assert [event.WhichOneof("event") for event in again if not event.HasField("audio")] == [
        "accepted", "plan", "audio_start", "song", "result",
    ]  # fmt: skip
    assert len(world.dit.jobs) == 1


async def test_seeds_that_were_drawn_are_not_drawn_anew(world: World) -> None:
    request = pb.GenerateMusicRequest(request_id="drawn", caption="c", duration_seconds=10.0)

    first, again = await events_of(world.client, request), await events_of(world.client, request)

    assert first[0].accepted == again[0].accepted


async def test_another_request_with_the_same_id_is_refused(world: World) -> None:
    await songs_of(world.client, named())

    with pytest.raises(ServiceError) as caught:
        await songs_of(world.client, named(bpm=99))

    assert (caught.value.code, caught.value.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_TAKEN",
    )
    assert caught.value.facts["field"] == "request_id"


async def test_the_work_goes_on_for_those_who_joined_when_the_first_caller_leaves(world: World) -> None:
    first = await rendering(world, named())
    second = world.client.generate(named())
    await anext(second)

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    world.dit.gate.open()

    assert [event async for event in second][-1].HasField("result")
    assert not world.dit.cancelled.is_set()


async def test_the_work_may_take_as_long_as_the_most_patient_caller_waits(world: World) -> None:
    world.lm.gate.close()
    first = asyncio.create_task(events_of(world.client, named()))  # waits for 30 s
    await world.lm.gate.waiting.wait()
    second = world.client.generate(named(), timeout_s=300.0)
    await anext(second)

    world.lm.gate.open()

    assert [event async for event in second][-1].HasField("result")
    await first
    (render_s,) = world.dit.seconds_left
    assert render_s is not None
    assert render_s > 30.0


async def test_when_everybody_has_left_the_work_is_cancelled_and_the_id_is_free(world: World) -> None:
    callers = [await rendering(world, named()), asyncio.create_task(events_of(world.client, named()))]

    for caller in callers:
        caller.cancel()

    async with asyncio.timeout(5):
        await world.dit.cancelled.wait()
    world.dit.gate.open()
    assert await songs_of(world.client, named(bpm=99))


async def test_a_request_that_failed_may_try_again_under_its_id(world: World) -> None:
    world.dit.failures[1] = AceError(Kind.OVERLOADED, "OUT_OF_MEMORY", "no room")
    with pytest.raises(ServiceError):
        await songs_of(world.client, named())
    world.dit.failures.clear()

    assert await songs_of(world.client, named())


@pytest.mark.parametrize("limits", [{"kept_s": 0.0}, {"kept_bytes": 1000}], ids=str)
async def test_results_are_kept_no_longer_and_no_larger_than_set(
    world: World, tmp_path: Path, limits: dict[str, Any]
) -> None:
    uploads = Uploads(tmp_path / "other", 2_000_000, 4_000_000, 60.0)
    async with (
        gateway_over([world.lm_server.port], [world.dit_server.port], uploads, **limits) as address,
        connect(address) as client,
    ):
        for _ in range(2):
            await songs_of(client, named())

    assert len(world.dit.jobs) == 2


async def one_song_of(byte_count: int, unread: Unread) -> AsyncGenerator[SongEvent, None]:
    """A generation that goes on after its first song, until nobody listens."""
    yield FinishedSong(bytes(byte_count), pb.Song(), music_pb2.AUDIO_FORMAT_FLAC)
    await asyncio.Event().wait()


async def test_what_running_requests_keep_for_those_who_join_is_bounded_together() -> None:
    generations = Generations(8, 60.0, 1000, Shelf(10_000), lambda: 1.0)

    async def has_one_song(name: str) -> AsyncGenerator[SongEvent, None]:
        work = Work(b"same", 1, Deadline(None), lambda unread: one_song_of(600, unread))
        caller = generations.start(("studio", name), work, joinable=True).listen()
        await anext(caller)
        return caller

    callers = [await has_one_song(name) for name in ("first", "second")]

    assert generations.find(("studio", "first"), b"same") is not None
    with pytest.raises(AceError, match="must not be that of a running request"):
        generations.find(("studio", "second"), b"same")
    for caller in callers:
        await caller.aclose()
