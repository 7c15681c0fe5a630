"""Who has the device when: jobs take turns, and a turn is one piece of work."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import numpy as np
import pytest

from dit_service.due import Due
from dit_service.engine import Phase, Piece, Progress, Song
from dit_service.lane import Lane, Waiting

Steps = Generator[Progress | Piece | Due | Song, None, None]


class Step(Due):
    """A step that is done for all at once; `worked` gets the names of those that it was done for."""

    def __init__(self, name: str, worked: list[str]) -> None:
        self._name = name
        self._worked = worked

    @property
    def group(self) -> object:
        return "a model"

    def do_together(self, all_due: Sequence["Step"]) -> None:
        self._worked.append(" and ".join(each._name for each in all_due))


def stepping(worked: list[str], count: int, may_begin: threading.Event) -> Steps:
    may_begin.wait(10)
    for step in range(1, count + 1):
        yield Step(f"step {step}", worked)
        yield Progress(Phase.DIFFUSION, step, count)


def decoding(worked: list[str], count: int) -> Steps:
    """As the engine decodes: for each tile a piece, then progress, and the song at the end."""
    for tile in range(1, count + 1):
        worked.append(f"tile {tile}")
        yield Piece(0, np.zeros((1, 2), np.float32))
        yield Progress(Phase.DECODING, tile, count)
    yield Song(np.zeros((1, 2), np.float32), np.zeros((1, 8), np.float32), {})
    worked.append("decoded")


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane(max_queued=8, max_together=4)
    with closing(lane):
        yield lane


async def done(lane: Lane, steps: Steps, began: asyncio.Event | None = None) -> list[object]:
    async with lane.run(steps) as events:
        if began:
            began.set()
        return [event async for event in events]


async def test_a_decode_and_the_steps_of_others_take_turns(lane: Lane) -> None:
    worked: list[str] = []
    may_begin, song_began, decode_began = threading.Event(), asyncio.Event(), asyncio.Event()

    song = asyncio.create_task(done(lane, stepping(worked, 5, may_begin), song_began))
    await song_began.wait()
    decode = asyncio.create_task(done(lane, decoding(worked, 3), decode_began))
    await decode_began.wait()
    may_begin.set()
    await asyncio.gather(song, decode)

    assert worked == [
        "step 1", "tile 1", "step 2", "tile 2", "step 3", "tile 3", "decoded", "step 4", "step 5",
    ]  # fmt: skip


async def test_who_waits_is_told_a_place_once_however_many_come_after() -> None:
    worked: list[str] = []
    may_begin, began = threading.Event(), asyncio.Event()
    with closing(Lane(max_queued=8)) as lane:
        running = asyncio.create_task(done(lane, stepping(worked, 1, may_begin), began))
        await began.wait()
        async with (
            lane.run(decoding(worked, 1)) as first,
            lane.run(decoding(worked, 1)),
            lane.run(decoding(worked, 1)),
        ):
            may_begin.set()
            heard = [event async for event in first]
        await running

    places = [event.position for event in heard if isinstance(event, Waiting)]
    assert places == [0]


async def test_what_a_failed_job_held_is_let_go_with_it(lane: Lane) -> None:
    held: list[weakref.ref[np.ndarray]] = []

    def failing() -> Steps:
        tensor = np.zeros(1000)
        held.append(weakref.ref(tensor))
        yield Progress(Phase.DIFFUSION, 1, 2)
        raise RuntimeError("illegal access")

    gc.disable()
    try:
        with pytest.raises(RuntimeError, match="illegal access") as caught:
            await done(lane, failing())
        assert held[0]() is None, "kept alive by the error's traceback"
    finally:
        gc.enable()
    assert caught.traceback[-1].name == "failing"


async def test_nothing_begins_on_a_lane_that_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    worked: list[str] = []
    lane, began = Lane(max_queued=8), asyncio.Event()
    may_begin = threading.Event()

    running = asyncio.create_task(done(lane, stepping(worked, 5, may_begin), began))
    await began.wait()
    async with lane.run(decoding(worked, 1)):
        may_begin.set()
        lane.close()
        await running

    assert "decoded" not in worked
    assert not caplog.records
