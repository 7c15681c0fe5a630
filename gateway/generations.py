"""Generations by their id: a repeated id joins the one that runs, or gets what it made."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from acestep.gateway.v1 import music_service_pb2 as pb
from common.errors import AceError, Kind
from gateway.deadline import Deadline
from gateway.metrics import SONGS_RUNNING
from gateway.shelf import Shelf, Unread
from gateway.song import FinishedSong, SongEvent

PASSING = {"queued", "progress", "retried", "live_audio"}
"""Events that say how it is at a moment. Of these, who comes later is told the last progress alone."""

Key = tuple[str, str]
"""Tenant and request id: an id of one tenant says nothing to another."""


class History:
    """What has happened so far, as short as it can be told."""

    def __init__(self) -> None:
        self.byte_count = 0
        self._lasting: list[SongEvent] = []
        self._progress: list[SongEvent] = []

    def add(self, event: SongEvent) -> None:
        kind = "song" if isinstance(event, FinishedSong) else event.WhichOneof("event")
        if kind == "progress":
            self._progress = [event]
        elif kind not in PASSING:
            if kind == "plan":  # says all that its fields said
                self._lasting = [item for item in self._lasting if not _is_plan_field(item)]
            self.byte_count += _size(event)
            self._lasting.append(event)

    def told(self) -> list[SongEvent]:
        """The events in their order; the progress stands where it was last."""
        if self._lasting and _is_result(self._lasting[-1]):
            return self._lasting
        return [*self._lasting, *self._progress]


def _is_plan_field(event: SongEvent) -> bool:
    return not isinstance(event, FinishedSong) and event.HasField("plan_field")


def _is_result(event: SongEvent) -> bool:
    return not isinstance(event, FinishedSong) and event.HasField("result")


class _Listener(asyncio.Queue[SongEvent | None]):
    """What one caller has not read yet; `unread` counts it."""

    def __init__(self, unread: Unread) -> None:
        super().__init__()
        self._unread = unread
        self._byte_count = 0

    def put_nowait(self, item: SongEvent | None) -> None:
        self._count(_size(item))
        super().put_nowait(item)

    def read(self, item: SongEvent) -> None:
        self._count(-_size(item))

    def close(self) -> None:
        self._count(-self._byte_count)

    def _count(self, byte_count: int) -> None:
        self._byte_count += byte_count
        self._unread.change(byte_count)


def _size(event: SongEvent | None) -> int:
    if event is None:
        return 0
    if isinstance(event, FinishedSong):
        return len(event.data) + event.song.ByteSize()  # its codes and its latents
    return event.ByteSize()


class Generation:
    """Work that goes on while anybody listens."""

    def __init__(
        self, work: "Work", history: History | None, has_room: Callable[[], bool], unread: Unread
    ) -> None:
        """`has_room` says whether the history may go on after something was added to it."""
        self.digest = work.digest
        self.song_count = work.song_count
        self.deadline = work.deadline
        self.history = history
        """None if nobody can join: there is more to tell than may be kept, or no id to ask by."""
        self._has_room = has_room
        self._unread = unread
        self._listeners: set[_Listener] = set()
        self._work: asyncio.Task[None] | None = None

    def start(self, events: AsyncGenerator[SongEvent, None]) -> "asyncio.Task[None]":
        self._work = asyncio.create_task(self._run(events))
        return self._work

    @property
    def abandoned(self) -> bool:
        return not self._listeners

    async def listen(self) -> AsyncGenerator[SongEvent, None]:
        """What happened so far, then what happens. Raises what the work raises.

        When the last listener leaves, the work is cancelled.
        """
        assert self._work is not None, "not started"
        queue = _Listener(self._unread)
        for event in self.history.told() if self.history else []:
            queue.put_nowait(event)
        if self._work.done():
            queue.put_nowait(None)
        self._listeners.add(queue)
        try:
            while (item := await queue.get()) is not None:
                yield item
                queue.read(item)
            await self._work
        finally:
            self._listeners.discard(queue)
            queue.close()
            if self.abandoned and not self._work.done():
                self._work.cancel()

    async def _run(self, events: AsyncGenerator[SongEvent, None]) -> None:
        try:
            async with aclosing(events) as stream:
                async for event in stream:
                    self._note(event)
                    for listener in self._listeners:
                        listener.put_nowait(event)
        finally:
            for listener in self._listeners:
                listener.put_nowait(None)

    def _note(self, event: SongEvent) -> None:
        if self.history is not None:
            byte_count = self.history.byte_count
            self.history.add(event)
            if self.history.byte_count > byte_count and not self._has_room():
                self.history = None


@dataclass(frozen=True, slots=True)
class Work:
    """A generation to begin."""

    digest: bytes
    song_count: int
    deadline: Deadline
    events: Callable[[Unread], AsyncGenerator[SongEvent, None]]


class Generations:
    """All that run, and those that succeeded lately under an id that their caller gave."""

    def __init__(
        self,
        max_songs: int,
        kept_s: float,
        kept_bytes: int,
        shelf: Shelf,
        retry_after_s: Callable[[], float],
    ) -> None:
        self._max_songs = max_songs
        self._kept_s = kept_s
        self._kept_bytes = kept_bytes
        self._retry_after_s = retry_after_s
        self._shelf = shelf
        self._running: dict[Key, Generation] = {}
        self._kept: dict[Key, tuple[float, Generation]] = {}
        """With the time of their end; the oldest first."""

    def find(self, key: Key, digest: bytes) -> Generation | None:
        """The generation of a repeated request.

        Raises `AceError` (EXISTS) if the id is that of another request, or can not be joined any more.
        """
        self._forget_old()
        _, generation = self._kept.get(key, (0.0, self._running.get(key)))
        if generation is None or (generation.abandoned and key in self._running):
            return None
        if generation.digest != digest:
            raise _taken(key, "REQUEST_ID_TAKEN", "must be new for a request that is not the same")
        if generation.history is None:
            raise _taken(key, "REQUEST_RUNNING", "must not be that of a running request")
        return generation

    def start(self, key: Key, work: Work, joinable: bool) -> Generation:
        """Begin to work. Raises `AceError` (OVERLOADED) if there is no room for so many songs more."""
        self._shelf.refuse_if_full()
        running = sum(generation.song_count for generation in self._running.values())
        if running + work.song_count > self._max_songs:
            raise AceError(
                Kind.OVERLOADED,
                "GATEWAY_FULL",
                f"{running} songs are running, and at most {self._max_songs} may; retry later",
                retry_after_s=self._retry_after_s(),
                running=running,
                limit=self._max_songs,
            )
        unread = Unread(self._shelf)
        generation = Generation(work, History() if joinable else None, self._has_room, unread)
        self._running[key] = generation
        SONGS_RUNNING.inc(work.song_count)
        task = generation.start(work.events(unread))
        task.add_done_callback(lambda ended: self._ended(key, generation, ended))
        return generation

    def _ended(self, key: Key, generation: Generation, work: "asyncio.Task[None]") -> None:
        SONGS_RUNNING.dec(generation.song_count)
        if self._running.get(key) is generation:
            del self._running[key]
        failed = work.cancelled() or work.exception() is not None
        if not failed and generation.history is not None and self._kept_s > 0:
            self._kept[key] = (time.monotonic(), generation)
            self._forget_old()
            asyncio.get_running_loop().call_later(self._kept_s, self._forget_old)

    def _has_room(self) -> bool:
        """Whether all histories together may be as long as they are, once old results are forgotten."""
        self._forget_old()
        return self._history_bytes() <= self._kept_bytes

    def _history_bytes(self) -> int:
        kept = (generation for _, generation in self._kept.values())
        every = (*self._running.values(), *kept)
        return sum(item.history.byte_count for item in every if item.history is not None)

    def _forget_old(self) -> None:
        """Forget results that are too old, and the oldest while there are too many bytes."""
        byte_count = self._history_bytes()
        for key, (ended, generation) in list(self._kept.items()):
            if time.monotonic() - ended < self._kept_s and byte_count <= self._kept_bytes:
                return
            byte_count -= generation.history.byte_count if generation.history else 0
            del self._kept[key]


def digest_of(message: pb.GenerateMusicRequest) -> bytes:
    """Equal for equal requests."""
    return hashlib.sha256(message.SerializeToString(deterministic=True)).digest()


def _taken(key: Key, reason: str, rule: str) -> AceError:
    return AceError(
        Kind.EXISTS,
        reason,
        f"request_id {rule}; received {key[1]!r}",
        field="request_id",
        rule=rule,
        value=key[1],
    )
