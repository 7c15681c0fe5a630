"""A trial that breaks costs its own row and no other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bench.faults.finding import NOTHING, Finding, NotHere, table
from bench.faults.trials import in_turn


class Grounds:
    """Numbers the grounds that trials were given, and says which are still open."""

    def __init__(self) -> None:
        self.count = 0
        self.open = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[int]:
        self.count += 1
        self.open += 1
        try:
            yield self.count
        finally:
            self.open -= 1


async def fine(ground: int) -> Finding:
    return Finding(f"on ground {ground}", "a song", "a song", NOTHING, None, True)


async def breaks(ground: int) -> Finding:
    raise ConnectionError(f"nobody is\nthere | on ground {ground}")


async def hangs(_ground: int) -> Finding:
    await asyncio.Event().wait()
    raise AssertionError


async def test_trials_share_a_ground() -> None:
    grounds = Grounds()

    found = await in_turn({"one": fine, "two": fine}, grounds)

    assert [item.fault for item in found] == ["on ground 1", "on ground 1"]
    assert (grounds.count, grounds.open) == (1, 0)


@pytest.mark.parametrize(
    ("trial", "told"),
    [
        (breaks, "not kept: ConnectionError: nobody is there / on ground 1"),
        (hangs, "not kept: TimeoutError"),
    ],
)
async def test_a_trial_without_an_end_is_a_promise_not_kept_and_the_next_one_finds_all_new(
    trial: Callable[[int], Awaitable[Finding]], told: str
) -> None:
    grounds = Grounds()

    found = await in_turn({"broken": trial, "next": fine}, grounds, within_s=0.1)

    assert [(item.fault, item.kept) for item in found] == [("broken", False), ("on ground 2", True)]
    assert found[0].happened == told
    assert (grounds.count, grounds.open) == (2, 0)
    assert table(found).splitlines()[2].endswith(f"| {told} | not seen | not seen | **no** |")


async def test_what_this_machine_cannot_do_is_no_broken_promise() -> None:
    async def impossible(_ground: int) -> Finding:
        raise NotHere("needs root")

    with pytest.raises(NotHere, match="needs root"):
        await in_turn({"disk": impossible}, Grounds())
