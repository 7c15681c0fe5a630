"""The line before a stage: as much enters at once as the stage can use, in turns between callers.

Tenants take turns by the seconds of song that they ask for, and so do the requests of a tenant.
What is in the stage already is never more than it can use, so that who comes later need not wait
for all that came before.
"""

import asyncio
import time
from bisect import insort
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from gateway.metrics import STAGE_QUEUED
from gateway.turns import Turns

MEMORY = 0.8
"""How much of the average pace stays when a new piece of work ends; it follows about 5."""

DEFAULT_RETRY_S = 5.0
"""What a refused caller is told while nothing has run yet."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A claim to enter."""

    tenant: str
    request_id: str
    work_s: float
    room: int
    """How much of the stage's room it takes."""
    stamp: float = 0.0
    """Its turn among those of the same tenant."""
    place: int = 0
    """Tickets ahead of it in the line."""
    ahead_s: float = 0.0
    """Their work."""
    admitted_at: float | None = None
    moved: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Tenant:
    requests: Turns = field(default_factory=Turns)
    stamps: list[float] = field(default_factory=list)
    """Turns of this tenant among all, sorted; its first ticket takes the first."""
    waiting: list[Ticket] = field(default_factory=list)
    """In the order of their own stamps."""


class Gate:
    """`room` says how much may be inside at this moment; 0 means that the stage is gone."""

    def __init__(
        self, stage: str, room: Callable[[], int], room_aside: Callable[[], int] = lambda: 0
    ) -> None:
        """`room_aside` says how many the stage can have besides, who only read what it has done."""
        self._stage = stage
        self._room = room
        self._room_aside = room_aside
        self._tenants: defaultdict[str, _Tenant] = defaultdict(_Tenant)
        self._turns = Turns()
        self._inside: set[Ticket] = set()
        self._aside: set[Ticket] = set()
        self._line: list[Ticket] = []
        """Those that wait, first the one whose turn is next."""
        self._pace: float | None = None
        """Seconds that a second of song takes, in one of the places inside."""

    def refuse_if_longer(self, limit: int) -> None:
        """Raises `AceError` (OVERLOADED) if more than `limit` wait."""
        if len(self._line) >= limit:
            raise AceError(
                Kind.OVERLOADED,
                "QUEUE_FULL",
                f"{len(self._line)} requests wait for the {self._stage} stage already; retry later",
                retry_after_s=self.retry_after_s,
                queued=len(self._line),
            )

    @property
    def retry_after_s(self) -> float:
        """Until something inside should have ended."""
        work_s = sum(ticket.work_s for ticket in self._inside)
        return max(1.0, self._wait_s(work_s / max(1, len(self._inside))) or DEFAULT_RETRY_S)

    @asynccontextmanager
    async def join(self, tenant: str, request_id: str, work_s: float, room: int) -> AsyncIterator[Ticket]:
        """Stand in line; leaving the block gives the place in the line, or inside, back."""
        ticket = Ticket(tenant, request_id, work_s, room)
        self._line_up(ticket)
        try:
            yield ticket
        finally:
            self._leave(ticket)

    async def places(self, ticket: Ticket) -> AsyncIterator[music_pb2.QueueStatus]:
        """The place of `ticket` whenever it changes; ends when it is admitted."""
        while ticket.admitted_at is None:
            ticket.moved.clear()
            yield music_pb2.QueueStatus(
                position=ticket.place, estimated_wait_seconds=self._wait_s(ticket.ahead_s + ticket.work_s)
            )
            await ticket.moved.wait()

    def step_aside(self, ticket: Ticket) -> None:
        """Let the next enter: the stage has done its work for `ticket`, whose caller is slow to take it.

        Without effect while there is no more room aside, so it may be asked for again.
        """
        if ticket in self._inside and len(self._aside) < self._room_aside():
            self._aside.add(ticket)
            self._end(ticket)
            self.advance()

    def come_back(self, ticket: Ticket) -> None:
        """If `ticket` has stepped aside, it stands in line again: the stage has to work for it anew."""
        if ticket in self._aside:
            self._aside.remove(ticket)
            ticket.admitted_at = None
            self._line_up(ticket)

    def advance(self) -> None:
        """Admit those whose turn it is, while there is room. Nobody is overtaken for being large."""
        room = self._room()
        inside = sum(ticket.room for ticket in self._inside)
        self._line = self._in_order()
        while self._line and (room == 0 or not inside or inside + self._line[0].room <= room):
            inside += self._line[0].room
            self._admit(self._line.pop(0))
        ahead_s = 0.0
        for place, ticket in enumerate(self._line):
            if place != ticket.place:
                ticket.place = place
                ticket.moved.set()
            ticket.ahead_s = ahead_s
            ahead_s += ticket.work_s
        STAGE_QUEUED.labels(self._stage).set(len(self._line))

    def _line_up(self, ticket: Ticket) -> None:
        mine = self._tenants[ticket.tenant]
        ticket.stamp = mine.requests.stamp(ticket.request_id, ticket.work_s)
        insort(mine.waiting, ticket, key=lambda item: item.stamp)
        insort(mine.stamps, self._turns.stamp(ticket.tenant, ticket.work_s))
        self.advance()

    def _admit(self, ticket: Ticket) -> None:
        tenant = self._tenants[ticket.tenant]
        waiting_keys = len({item.request_id for item in tenant.waiting})
        tenant.requests.served(ticket.work_s, waiting_keys)
        self._turns.served(ticket.work_s, sum(bool(item.waiting) for item in self._tenants.values()))
        tenant.waiting.remove(ticket)
        del tenant.stamps[0]
        ticket.admitted_at = time.monotonic()
        self._inside.add(ticket)
        ticket.moved.set()

    def _leave(self, ticket: Ticket) -> None:
        tenant = self._tenants[ticket.tenant]
        if ticket.admitted_at is None:
            tenant.waiting.remove(ticket)
            del tenant.stamps[-1]
            tenant.requests.given_up(ticket.request_id, ticket.work_s)
            self._turns.given_up(ticket.tenant, ticket.work_s)
        elif ticket in self._inside:
            self._end(ticket)
        self._aside.discard(ticket)
        self.advance()
        if not tenant.waiting and not any(item.tenant == ticket.tenant for item in self._inside):
            self._tenants.pop(ticket.tenant, None)

    def _end(self, ticket: Ticket) -> None:
        self._inside.remove(ticket)
        assert ticket.admitted_at is not None
        pace = (time.monotonic() - ticket.admitted_at) / max(1.0, ticket.work_s)
        self._pace = pace if self._pace is None else MEMORY * self._pace + (1 - MEMORY) * pace

    def _in_order(self) -> list[Ticket]:
        turns = [
            (stamp, ticket)
            for tenant in self._tenants.values()
            for stamp, ticket in zip(tenant.stamps, tenant.waiting, strict=True)
        ]
        return [ticket for _, ticket in sorted(turns, key=lambda turn: turn[0])]

    def _wait_s(self, work_s: float) -> float | None:
        """How long `work_s` takes with as many inside as there are now."""
        return None if self._pace is None else work_s * self._pace / max(1, len(self._inside))
