"""Who may run, and what those who wait are told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from common.errors import AceError, Kind
from lm_service.admission import Admission, Place, Room, Ticket

PLENTY = 10_000


def rows(count: int) -> Room:
    return Room(count, 10)


def tokens(count: int) -> Room:
    return Room(1, count)


@asynccontextmanager
async def holding(admission: Admission, *wanted: Room) -> AsyncIterator[list[Ticket]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(admission.join(room)) for room in wanted]


async def test_rows_are_handed_out_in_order_and_never_overtaken() -> None:
    admission = Admission(Room(3, PLENTY), max_queued=4)

    async with holding(admission, rows(2), rows(2), rows(1)) as (first, large, small):
        assert (first.admitted, large.admitted, small.admitted) == (True, False, False)
        assert admission.queued_count == 2

    assert admission.queued_count == admission.running_count == 0
    assert admission.free == Room(3, PLENTY)


async def test_tokens_are_handed_out_in_order_even_if_there_are_rows() -> None:
    admission = Admission(Room(8, 1000), max_queued=4)

    async with holding(admission, tokens(700), tokens(400), tokens(100)) as (first, large, small):
        assert (first.admitted, large.admitted, small.admitted) == (True, False, False)
        assert admission.free == Room(7, 300)

    assert admission.free == Room(8, 1000)


async def test_who_gives_tokens_back_lets_in_as_many_as_they_are_enough_for() -> None:
    admission = Admission(Room(8, 1000), max_queued=4)

    async with AsyncExitStack() as first:
        await first.enter_async_context(admission.join(tokens(900)))
        async with holding(admission, tokens(500), tokens(400), tokens(200)) as waiting:
            await first.aclose()
            assert [ticket.admitted for ticket in waiting] == [True, True, False]


async def test_what_never_fits_is_refused_at_once() -> None:
    admission = Admission(Room(1, 1000), max_queued=4)

    for wanted, reason in ((Room(2, 10), "TOO_FEW_ROWS"), (Room(1, 1001), "TOO_LITTLE_CACHE")):
        with pytest.raises(AceError) as caught:
            async with admission.join(wanted):
                pass
        assert (caught.value.kind, caught.value.reason) == (Kind.PRECONDITION, reason)


async def test_who_waits_hears_of_every_step_forward() -> None:
    admission, heard = Admission(Room(1, PLENTY), max_queued=4), list[Place]()

    async def waiting() -> None:
        async with admission.join(rows(1)) as ticket:
            heard.extend([place async for place in admission.places(ticket)])

    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await first.enter_async_context(admission.join(rows(1)))
        await second.enter_async_context(admission.join(rows(1)))
        last = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        await first.aclose()
        await asyncio.sleep(0)
        await second.aclose()
        await last

    assert [place.position for place in heard] == [1, 0]
    assert heard[0].wait_s is None
    assert heard[1].wait_s is not None


async def test_who_waits_hears_nothing_of_those_who_come_and_go_behind() -> None:
    admission, heard = Admission(Room(1, PLENTY), max_queued=4), list[Place]()

    async with holding(admission, rows(1), rows(1)) as (_, ticket):
        places = admission.places(ticket)
        heard.append(await anext(places))
        following = asyncio.ensure_future(anext(places))
        for _ in range(3):
            async with holding(admission, rows(1)):
                await asyncio.sleep(0)
            await asyncio.sleep(0)

        assert not following.done()
        following.cancel()

    assert heard == [Place(0, None)]


async def test_a_full_queue_refuses_and_forgets_the_refused() -> None:
    admission = Admission(Room(1, PLENTY), max_queued=1)

    async with holding(admission, rows(1), rows(1)):
        for _ in range(2):
            with pytest.raises(AceError) as caught:
                async with admission.join(rows(1)):
                    pass
            assert (caught.value.kind, caught.value.reason) == (Kind.OVERLOADED, "QUEUE_FULL")

    assert admission.queued_count == admission.running_count == 0
