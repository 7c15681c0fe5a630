"""Who may run: rows of the batch are handed out in order of arrival, and the queue is bounded."""

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


class Ticket:
    """A request's claim to rows. Waits in the queue until `admitted`."""

    def __init__(self, row_count: int) -> None:
        self.row_count = row_count
        self.admitted = False
        self.moved = asyncio.Event()
        self.since = time.monotonic()


class Admission:
    """Hands out `row_count` rows. At most `max_queued` requests wait; one more is refused."""

    def __init__(self, row_count: int, max_queued: int) -> None:
        self.row_count = row_count
        self.max_queued = max_queued
        self._free = row_count
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
    async def join(self, row_count: int) -> AsyncIterator[Ticket]:
        """Stand in line for `row_count` rows; leaving the block gives them, or the place, back.

        Raises `AceError`: OVERLOADED if the queue is full, PRECONDITION if there are too few rows.
        """
        if row_count > self.row_count:
            raise AceError(
                Kind.PRECONDITION,
                "TOO_FEW_ROWS",
                f"this request takes {row_count} rows; the service has {self.row_count}",
                row_count=row_count,
            )
        ticket = Ticket(row_count)
        self._queue.append(ticket)
        self._advance()
        if not ticket.admitted and len(self._queue) > self.max_queued:
            self._queue.remove(ticket)
            raise self._full()
        try:
            yield ticket
        finally:
            self._leave(ticket)

    async def places(self, ticket: Ticket) -> AsyncIterator[Place]:
        """The place of `ticket` whenever it changes; ends when it is admitted."""
        while not ticket.admitted:
            ticket.moved.clear()
            yield self._place(ticket)
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
        """Admit from the head while rows last. A large request is never overtaken by small ones."""
        while self._queue and self._queue[0].row_count <= self._free:
            ticket = self._queue.popleft()
            ticket.admitted = True
            ticket.since = time.monotonic()
            self._free -= ticket.row_count
            self._running += 1
            ticket.moved.set()
        for ticket in self._queue:
            ticket.moved.set()

    def _leave(self, ticket: Ticket) -> None:
        if ticket.admitted:
            self._free += ticket.row_count
            self._running -= 1
            ran_s = time.monotonic() - ticket.since
            self._run_s = ran_s if self._run_s is None else MEMORY * self._run_s + (1 - MEMORY) * ran_s
        else:
            self._queue.remove(ticket)
        self._advance()
