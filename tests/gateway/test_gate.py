"""Who enters a stage when: in turns by tenant and by request, in proportion to what is asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from common.errors import AceError
from gateway.gate import Gate, Ticket


class Line:
    """A gate with room for one, and the names of those that entered, in their order."""

    def __init__(self, room: int = 1) -> None:
        self.room = room
        self.room_aside = 0
        self.gate = Gate("test", lambda: self.room, lambda: self.room_aside)
        self.entered: list[str] = []
        self._stacks: dict[str, AsyncExitStack] = {}

    async def join(
        self, name: str, tenant: str = "", request: str = "", work_s: float = 10.0, room: int = 1
    ) -> Ticket:
        stack = self._stacks[name] = AsyncExitStack()
        ticket = await stack.enter_async_context(self.gate.join(tenant, request or name, work_s, room))
        self._note(name, ticket)
        self._tickets = {**getattr(self, "_tickets", {}), name: ticket}
        return ticket

    async def leave(self, name: str) -> None:
        await self._stacks.pop(name).aclose()
        for other, ticket in self._tickets.items():
            self._note(other, ticket)

    async def serve_all(self) -> list[str]:
        """Let everybody in, one after the other; who entered, in their order."""
        while self._stacks:
            await self.leave(next(name for name in self.entered if name in self._stacks))
        return self.entered

    def _note(self, name: str, ticket: Ticket) -> None:
        if ticket.admitted_at is not None and name not in self.entered:
            self.entered.append(name)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    made = Line()
    yield made
    await made.serve_all()


async def test_those_of_one_kind_enter_in_the_order_they_came(line: Line) -> None:
    for name in "abcd":
        await line.join(name)

    assert await line.serve_all() == ["a", "b", "c", "d"]


async def test_as_many_enter_as_there_is_room_and_a_large_one_is_not_overtaken(line: Line) -> None:
    line.room = 3
    await line.join("two", room=2)
    await line.join("also two", room=2)
    await line.join("one", room=1)
    assert line.entered == ["two"]

    await line.leave("two")

    assert line.entered == ["two", "also two", "one"]


async def test_a_tenant_that_comes_late_does_not_wait_for_all_of_another(line: Line) -> None:
    for number in range(4):
        await line.join(f"a{number}", tenant="a")
    await line.join("b0", tenant="b")

    assert await line.serve_all() == ["a0", "a1", "b0", "a2", "a3"]


async def test_turns_are_by_seconds_of_song(line: Line) -> None:
    await line.join("first", tenant="c")
    for number in range(2):
        await line.join(f"long{number}", tenant="a", work_s=60.0)
    for number in range(4):
        await line.join(f"short{number}", tenant="b", work_s=30.0)

    assert (await line.serve_all())[1:] == ["long0", "short0", "short1", "long1", "short2", "short3"]


async def test_requests_of_a_tenant_take_turns_too(line: Line) -> None:
    for number in range(3):
        await line.join(f"batch{number}", request="batch")
    await line.join("single")

    assert await line.serve_all() == ["batch0", "batch1", "single", "batch2"]


async def test_a_batch_is_not_starved_by_new_requests_without_end(line: Line) -> None:
    for number in range(3):
        await line.join(f"batch{number}", request="batch", work_s=30.0)
    for number in range(40):
        await line.join(f"new{number}")
        await line.leave(line.entered[-1])
        if "batch2" in line.entered:
            break

    assert "batch2" in line.entered


async def test_places_are_told_as_they_change(line: Line) -> None:
    await line.join("inside")
    ahead, ticket = await line.join("ahead"), await line.join("waiting")
    places = line.gate.places(ticket)
    assert (await anext(places)).position == 1

    assert ahead.place == 0
    await line.leave("ahead")

    told = await anext(places)
    assert told.position == 0
    await line.leave("inside")
    assert [place async for place in places] == []


async def test_the_wait_is_estimated_from_what_ran(line: Line) -> None:
    await line.join("one")
    first = await anext(line.gate.places(await line.join("two")))
    await line.leave("one")
    later = await anext(line.gate.places(await line.join("three")))

    assert not first.HasField("estimated_wait_seconds")
    assert later.HasField("estimated_wait_seconds")


async def test_when_the_stage_is_gone_nobody_waits_for_it(line: Line) -> None:
    await line.join("inside")
    ticket = await line.join("waiting")

    line.room = 0
    line.gate.advance()

    assert ticket.admitted_at is not None


async def test_a_line_that_is_too_long_is_refused_with_a_time_to_retry(line: Line) -> None:
    await line.join("inside")
    await line.join("waiting")

    with pytest.raises(AceError) as caught:
        line.gate.refuse_if_longer(1)

    assert (caught.value.reason, caught.value.retry_after_s) == ("QUEUE_FULL", 5.0)


async def test_a_tenant_is_not_put_back_for_work_that_it_gave_up(line: Line) -> None:
    await line.join("first", tenant="c")
    for number in range(5):
        await line.join(f"given up{number}", tenant="a")
    for number in range(5):
        await line.leave(f"given up{number}")
    for number in range(3):
        await line.join(f"b{number}", tenant="b")
        await line.join(f"a{number}", tenant="a")

    order = await line.serve_all()

    assert order.index("a0") < order.index("b1")
    assert order.index("a1") < order.index("b2")


async def test_who_is_only_read_slowly_lets_the_next_enter(line: Line) -> None:
    line.room_aside = 1
    read, also_read = await line.join("read"), await line.join("also read")
    await line.join("next")

    line.gate.step_aside(read)
    assert also_read.admitted_at is not None
    line.gate.step_aside(also_read)  # there is room for one aside

    await line.leave("read")
    assert line.entered == ["read", "also read"]
    line.gate.step_aside(also_read)
    await line.leave("also read")
    assert line.entered == ["read", "also read", "next"]


async def test_who_stepped_aside_and_needs_the_stage_again_waits_for_its_turn(line: Line) -> None:
    line.room_aside = 1
    read = await line.join("read")
    line.gate.step_aside(read)
    await line.join("inside")
    await line.join("waiting")

    line.gate.come_back(read)
    places = line.gate.places(read)

    assert (await anext(places)).position == 1
    await line.leave("inside")
    await line.leave("waiting")
    assert [place async for place in places] == []
    assert read.admitted_at is not None


async def test_leaving_the_line_while_waiting_gives_the_turn_to_the_next(line: Line) -> None:
    for name in "abc":
        await line.join(name)

    await line.leave("b")
    await asyncio.sleep(0)

    assert await line.serve_all() == ["a", "c"]
