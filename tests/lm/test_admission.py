"""Who may run, and what those who wait are told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from common.errors import AceError, Kind
from lm_service.admission import Admission, Place, Ticket


@asynccontextmanager
async def holding(admission: Admission, *row_counts: int) -> AsyncIterator[list[Ticket]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(admission.join(count)) for count in row_counts]


async def test_rows_are_handed_out_in_order_and_never_overtaken() -> None:
    admission = Admission(row_count=3, max_queued=4)

    async with holding(admission, 2, 2, 1) as (first, large, small):
        assert (first.admitted, large.admitted, small.admitted) == (True, False, False)
        assert admission.queued_count == 2

    assert admission.queued_count == admission.running_count == 0


async def test_who_waits_hears_of_every_step_forward() -> None:
    admission, heard = Admission(row_count=1, max_queued=4), list[Place]()

    async def waiting() -> None:
        async with admission.join(1) as ticket:
            heard.extend([place async for place in admission.places(ticket)])

    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await first.enter_async_context(admission.join(1))
        await second.enter_async_context(admission.join(1))
        last = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        await first.aclose()
        await asyncio.sleep(0)
        await second.aclose()
        await last

    assert [place.position for place in heard] == [1, 0]
    assert heard[0].wait_s is None
    assert heard[1].wait_s is not None


async def test_a_full_queue_refuses_and_forgets_the_refused() -> None:
    admission = Admission(row_count=1, max_queued=1)

    async with holding(admission, 1, 1):
        for _ in range(2):
            with pytest.raises(AceError) as caught:
                async with admission.join(1):
                    pass
            assert (caught.value.kind, caught.value.reason) == (Kind.OVERLOADED, "QUEUE_FULL")

    assert admission.queued_count == admission.running_count == 0
