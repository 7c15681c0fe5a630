"""The replicas of a stage: work goes to the least busy one, and to another if that one is lost."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, use_span

from acestep.music.v1 import music_pb2
from common import tracing
from common.errors import AceError, Kind
from common.telemetry import REQUEST_ID
from common.tenant import TENANT
from common.tls import TlsError
from gateway import calls
from gateway.addresses import DNS, Resolve, resolved
from gateway.gate import Gate
from gateway.metrics import RETRIES
from gateway.replica import RETIRE_S, Replica

logger = logging.getLogger(__name__)

Stub = TypeVar("Stub")
Info = TypeVar("Info", bound=Message)

RESOLVE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class StageKind(Generic[Stub, Info]):
    """What a stage is called, and how its replicas are asked what they have loaded."""

    name: str
    service: str
    """Name that its health is asked by."""
    stub: Callable[[grpc.aio.Channel], Stub]
    ask: Callable[[Stub, float], Awaitable[Info]]
    room: Callable[[Info], int]
    """How much a replica can have to do at once, from its answer."""
    room_aside: Callable[[Info], int]
    """How many calls it can have besides, whose work is done and whose answer is being read."""
    own_fields: tuple[str, ...]
    """Fields of the answer that may differ between replicas: they tell of a machine, not of models."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Stands between the events of a replica that was lost and those of the one that begins anew."""

    stage: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The call has not begun: its turn has not come."""

    status: music_pb2.QueueStatus


@dataclass(frozen=True, slots=True)
class Turn:
    """The call's turn has come: it begins now."""

    waited_s: float
    step_aside: Callable[[], None]
    """To be called when the work is done but for the reading, and that takes its time: see `Gate`."""


class Pool(Generic[Stub, Info]):
    """Follows every replica. Each must have the models that the others have, to be asked at all."""

    def __init__(
        self,
        kind: StageKind[Stub, Info],
        addresses: Sequence[str],
        connect: Callable[[str], grpc.aio.Channel],
        info_timeout_s: float,
        resolve: Resolve = resolved,
        resolve_every_s: float = RESOLVE_EVERY_S,
    ) -> None:
        self._kind = kind
        self._addresses = addresses
        self._connect = connect
        self._info_timeout_s = info_timeout_s
        self._resolve = resolve
        self._resolve_every_s = resolve_every_s
        self._replicas: dict[str, Replica[Stub]] = {}
        self._info: Info | None = None
        self.gate = Gate(
            kind.name,
            lambda: sum(replica.room for replica in self._admitted()),
            lambda: sum(replica.room_aside for replica in self._admitted()),
        )
        self._turns = count(1)
        self._following: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Pool[Stub, Info]":
        self._following = asyncio.create_task(self._follow_addresses())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        assert self._following is not None
        for task in (self._following, *self._retiring):
            task.cancel()
        await asyncio.gather(self._following, *self._retiring, return_exceptions=True)
        await asyncio.gather(*(replica.close() for replica in self._replicas.values()))

    def info(self) -> Info:
        """What the replicas have loaded. Raises `AceError` (UNAVAILABLE) if none is admitted."""
        if self._info is None or not self._admitted():
            raise calls.unavailable(self._kind.name)
        return self._info

    async def events(
        self,
        start: Callable[[Stub], Any],
        work_s: float,
        room: int = 1,
    ) -> AsyncGenerator[Any, None]:
        """The events of the call that `start` makes, when its turn has come. Raises `AceError`.

        Until then there are `Waiting`s, then the `Turn`. If the replica is lost, `Lost` comes next, and
        then the events of a whole second call to another one. `work_s` says how much is asked for, in
        seconds of song.
        """
        asked = time.monotonic()
        async with self.gate.join(TENANT.get(), REQUEST_ID.get(), work_s, room) as ticket:
            async for status in self.gate.places(ticket):
                yield Waiting(status)
            tracing.past(f"queue {self._kind.name}", asked)
            yield Turn(time.monotonic() - asked, partial(self.gate.step_aside, ticket))
            async with aclosing(self.events_at_once(start, work_s)) as events:
                async for event in events:
                    yield event
                    if isinstance(event, Lost):
                        self.gate.come_back(ticket)
                        async for status in self.gate.places(ticket):
                            yield Waiting(status)

    async def events_at_once(
        self,
        start: Callable[[Stub], Any],
        work_s: float = 0.0,
        overdue: Callable[[], bool] = lambda: False,
    ) -> AsyncGenerator[Any, None]:
        """`events` without a turn: for what a stage does while it is busy.

        `overdue` says, of a call that timed out, whether a replica that is well would have answered:
        this one is then taken for lost.
        """
        for last in (False, True):
            with self._replica(work_s) as replica:
                try:
                    with self._span(replica) as span:
                        with use_span(span, end_on_exit=False, record_exception=False):
                            call = start(replica.stub)
                        async with aclosing(calls.events(self._kind.name, call)) as events:
                            async for event in events:
                                yield event
                    return
                except AceError as error:
                    hangs = error.reason == calls.STALLED or (error.kind is Kind.TIMEOUT and overdue())
                    self._check_retry(replica, error, last, hangs)
            yield Lost(self._kind.name)

    async def answer(self, ask: Callable[[Stub], Any], work_s: float) -> Any:
        """The answer of a unary call, when its turn has come; as `events`. Raises `AceError`."""
        async with self.gate.join(TENANT.get(), REQUEST_ID.get(), work_s, room=1) as ticket:
            async for _ in self.gate.places(ticket):
                pass
            for last in (False, True):
                with self._replica(work_s) as replica:
                    try:
                        with self._span(replica) as span:
                            with use_span(span, end_on_exit=False, record_exception=False):
                                call = ask(replica.stub)
                            return await calls.answer(self._kind.name, call)
                    except AceError as error:
                        self._check_retry(replica, error, last)

    @contextmanager
    def _span(self, replica: Replica[Stub]) -> Iterator[Span]:
        """The span of a call to `replica`, as its caller sees it."""
        attributes = {"server.address": replica.address}
        span = tracing.TRACER.start_span(
            f"call {self._kind.name}", kind=SpanKind.CLIENT, attributes=attributes
        )
        try:
            yield span
        except AceError as error:
            span.set_status(Status(StatusCode.ERROR, error.reason))
            raise
        finally:
            span.end()

    def _admitted(self) -> list[Replica[Stub]]:
        return [replica for replica in self._replicas.values() if replica.admitted]

    @contextmanager
    def _replica(self, work_s: float) -> Iterator[Replica[Stub]]:
        """The admitted replica that has least to do; among equals, the one that waited longest."""
        admitted = self._admitted()
        if not admitted:
            raise calls.unavailable(self._kind.name)
        replica = min(admitted, key=lambda item: (item.work_s, item.last_turn))
        if work_s:  # who is only asked a question keeps its turn
            replica.last_turn = next(self._turns)
        with replica.working(work_s):
            yield replica

    def _check_retry(
        self, replica: Replica[Stub], error: AceError, last: bool, hangs: bool = False
    ) -> None:
        """Raises `error` unless another replica can do what `replica` failed to do."""
        if error.kind is not Kind.UNAVAILABLE and not hangs:
            raise error
        if error.reason != calls.ANSWER_LOST:  # else it did answer, and may be asked again
            replica.suspect()
        if last or not self._admitted():
            raise error
        RETRIES.labels(self._kind.name).inc()
        logger.warning("%s replica %s: %s; the call begins anew", self._kind.name, replica.address, error)

    async def _check(self, replica: Replica[Stub]) -> bool:
        """Whether `replica` has what those have that are admitted; the first one decides."""
        try:
            found = await calls.answer(self._kind.name, self._kind.ask(replica.stub, self._info_timeout_s))
        except AceError:
            return False
        if any(other is not replica for other in self._admitted()) and self._card(found) != self._card(
            self.info()
        ):
            logger.error(
                "%s replica %s has other models than the others: it is not used",
                self._kind.name,
                replica.address,
            )
            return False
        self._info = found
        replica.room = self._kind.room(found)
        replica.room_aside = self._kind.room_aside(found)
        return True

    def _card(self, info: Info) -> Info:
        card = type(info)()
        card.CopyFrom(info)
        for name in self._kind.own_fields:
            card.ClearField(name)
        return card

    async def _follow_addresses(self) -> None:
        while True:
            try:
                self._reconcile(await self._resolve(self._addresses))
            except (OSError, TlsError) as error:
                logger.warning("addresses of the %s stage: %s", self._kind.name, error)
            else:
                if not any(address.startswith(DNS) for address in self._addresses):
                    return
            await asyncio.sleep(self._resolve_every_s)

    def _reconcile(self, addresses: Sequence[str]) -> None:
        for address in addresses:
            if address not in self._replicas:
                channel = self._connect(address)
                replica = Replica(self._kind.name, address, channel, self._kind.stub(channel))
                self._replicas[address] = replica
                replica.start(self._kind.service, partial(self._check, replica), self.gate.advance)
        for address in set(self._replicas) - set(addresses):
            task = asyncio.create_task(self._replicas.pop(address).close(RETIRE_S))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
