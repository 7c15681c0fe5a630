"""Who may run: rows and tokens of the batch are handed out in order of arrival; the queue is bounded.

Tokens are estimates of what a request will hold in the KV cache. If they prove too low the engine
still copes, by preemption; admission makes that rare.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from common.errors import AceError, Kind

DEFAULT_RETRY_S = 5.0
"""What a refused caller is told while nothing has run yet."""

MEMORY = 0.8
"""How much of the average run time stays when a new run ends; it follows about 5 runs."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request waits."""

    position: int
    """Requests ahead of it in the queue."""
    wait_s: float | None
    """Rough; None before any request has run."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a batch has, or what a request takes of it."""

    row_count: int
    token_count: int

    def holds(self, other: "Room") -> bool:
        return self.row_count >= other.row_count and self.token_count >= other.token_count

    def __add__(self, other: "Room") -> "Room":
        return Room(self.row_count + other.row_count, self.token_count + other.token_count)

    def __sub__(self, other: "Room") -> "Room":
        return Room(self.row_count - other.row_count, self.token_count - other.token_count)


class Ticket:
    """A request's claim to a place. Waits in the queue until `admitted`."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.admitted = False
        self.moved = asyncio.Event()
        self.since = time.monotonic()


class Admission:
    """Hands out `room`. At most `max_queued` requests wait; one more is refused."""

    def __init__(self, room: Room, max_queued: int) -> None:
        self.room = room
        self.max_queued = max_queued
        self._free = room
        self._queue: deque[Ticket] = deque()
        self._running = 0
        self._run_s: float | None = None

    @property
    def queued_count(self) -> int:
        return len(self._queue)

    @property
    def running_count(self) -> int:
        return self._running

    @asynccontextmanager
    async def join(self, wanted: Room) -> AsyncIterator[Ticket]:
        """Stand in line for `wanted`; leaving the block gives it, or the place in the line, back.

        Raises `AceError`: OVERLOADED if the queue is full, PRECONDITION if there is never enough.
        """
        self._check(wanted)
        ticket = Ticket(wanted)
        self._queue.append(ticket)
        self._advance()
        if not ticket.admitted and len(self._queue) > self.max_queued:
            self._queue.remove(ticket)
            raise self._full()
        try:
            yield ticket
        finally:
            self._leave(ticket)

    @property
    def free(self) -> Room:
        return self._free

    def _check(self, wanted: Room) -> None:
        if wanted.row_count > self.room.row_count:
            raise AceError(
                Kind.PRECONDITION,
                "TOO_FEW_ROWS",
                f"this request takes {wanted.row_count} rows; the service has {self.room.row_count}",
                row_count=wanted.row_count,
            )
        if wanted.token_count > self.room.token_count:
            raise AceError(
                Kind.PRECONDITION,
                "TOO_LITTLE_CACHE",
                f"this request takes about {wanted.token_count} tokens of the cache;"
                f" the service has {self.room.token_count}",
                token_count=wanted.token_count,
            )

    async def places(self, ticket: Ticket) -> AsyncIterator[Place]:
        """The place of `ticket` whenever it changes; ends when it is admitted."""
        told: Place | None = None
        while not ticket.admitted:
            ticket.moved.clear()
            # Who arrives or leaves behind a request moves the queue, not the request.
            if (place := self._place(ticket)) != told:
                told = place
                yield place
            await ticket.moved.wait()

    def _place(self, ticket: Ticket) -> Place:
        position = self._queue.index(ticket)
        return Place(position, self._wait_s(position + 1))

    def _wait_s(self, requests: int) -> float | None:
        """How long until `requests` of the queue have begun, if runs last as they did lately."""
        if self._run_s is None:
            return None
        return self._run_s * requests / max(1, self._running)

    def _full(self) -> AceError:
        retry_s = self._wait_s(1)
        return AceError(
            Kind.OVERLOADED,
            "QUEUE_FULL",
            f"{self.max_queued} requests wait already; retry later",
            retry_after_s=max(1.0, DEFAULT_RETRY_S if retry_s is None else retry_s),
            max_queued_count=self.max_queued,
        )

    def _advance(self) -> None:
        """Admit from the head while there is room. A large request is never overtaken by small ones."""
        while self._queue and self._free.holds(self._queue[0].room):
            ticket = self._queue.popleft()
            ticket.admitted = True
            ticket.since = time.monotonic()
            self._free -= ticket.room
            self._running += 1
            ticket.moved.set()
        for ticket in self._queue:
            ticket.moved.set()

    def _leave(self, ticket: Ticket) -> None:
        if ticket.admitted:
            self._free += ticket.room
            self._running -= 1
            ran_s = time.monotonic() - ticket.since
            self._run_s = ran_s if self._run_s is None else MEMORY * self._run_s + (1 - MEMORY) * ran_s
        else:
            self._queue.remove(ticket)
        self._advance()
