"""When more is asked for than the stages can do: callers take turns, and are told where they are."""

import asyncio

import pytest

from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from tests.gateway.conftest import World
from tests.gateway.test_generate import song_request, songs_of

GIVEN = {"bpm": 100, "keyscale": "C major", "timesignature": "4"}
"""With these nothing is left to plan."""


async def rendered_in_order(world: World, count: int) -> list[int]:
    """The seeds that the diffusion got, once it has got so many."""
    async with asyncio.timeout(20):
        while len(world.dit.jobs) < count:
            await asyncio.sleep(0.01)
    return [job.seed for job in world.dit.jobs]


async def test_a_song_of_another_caller_is_made_between_those_of_a_batch(world: World) -> None:
    world.dit.gate.close()
    batch = asyncio.create_task(songs_of(world.client, song_request(seeds=(1, 2, 3, 4, 5), **GIVEN)))
    await rendered_in_order(world, 2)
    single = world.client.generate(song_request(seeds=(9,), **GIVEN))
    async for event in single:
        if event.HasField("queued") and event.queued.stage == pb.STAGE_DIT:
            break

    world.dit.gate.open()
    [event async for event in single]
    await batch

    order = await rendered_in_order(world, 6)
    assert order.index(9) < 5


async def test_where_a_song_waits_is_told_until_it_is_its_turn(world: World) -> None:
    world.dit.gate.close()
    events = world.client.generate(song_request(seeds=(1, 2, 3, 4), **GIVEN))
    places: set[int] = set()
    async for event in events:
        if event.HasField("queued") and event.queued.stage == pb.STAGE_DIT:
            places.add(event.queued.status.position)
            if places == {0, 1}:
                break

    world.dit.gate.open()

    rest = [event async for event in events]
    assert rest[-1].result.succeeded_count == 4
    waits_s = [event.song.timings["dit_queue"] for event in rest if event.HasField("song")]
    assert max(waits_s) > 0


async def test_a_stage_has_no_more_to_do_than_it_can_use(world: World) -> None:
    world.dit.gate.close()
    songs = asyncio.create_task(songs_of(world.client, song_request(seeds=(1, 2, 3, 4, 5, 6), **GIVEN)))
    await rendered_in_order(world, 2)
    await world.client.capabilities()

    assert len(world.dit.jobs) == 2
    world.dit.gate.open()
    assert len(await songs) == 6


async def test_more_descriptions_than_may_wait_are_refused(world: World) -> None:
    world.lm.gate.close()

    async def invent() -> None:
        async for _ in world.client.create(pb.CreateSampleRequest(query="x")):
            pass

    waiting = [asyncio.create_task(invent()) for _ in range(40)]

    with pytest.raises(ServiceError) as caught:
        await asyncio.gather(*waiting)
    world.lm.gate.open()

    assert caught.value.reason == "QUEUE_FULL"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
