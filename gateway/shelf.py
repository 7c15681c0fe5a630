"""What is finished and not read yet: bounded, so that slow readers cannot fill the memory."""

import asyncio
from collections.abc import Callable

from common.errors import AceError, Kind
from gateway.metrics import UNREAD_BYTES

FULL_RETRY_S = 10.0
LIVE_BYTES = 2 * 1024 * 1024
"""Of what a generation has unread, so much may be there when the next piece of live audio comes."""


class Shelf:
    """Bytes of all generations that wait for their readers."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._byte_count = 0
        self._read = asyncio.Event()

    def refuse_if_full(self) -> None:
        """Raises `AceError` (OVERLOADED) while no more songs should be begun."""
        if self._is_full():
            raise AceError(
                Kind.OVERLOADED,
                "FILES_UNREAD",
                f"{self._byte_count} bytes of finished songs wait for their readers; retry later",
                retry_after_s=FULL_RETRY_S,
            )

    async def room(self, mine: "Unread") -> None:
        """Return when `mine` may begin one more song: when there is room, or it has nothing unread."""
        while self._is_full() and mine.byte_count > 0:
            self._read.clear()
            await self._read.wait()

    def change(self, byte_count: int) -> None:
        self._byte_count += byte_count
        UNREAD_BYTES.set(self._byte_count)
        if byte_count < 0:
            self._read.set()

    def _is_full(self) -> bool:
        return self._byte_count >= self._max_bytes


class Unread:
    """The part of one generation."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._read = asyncio.Event()
        self.byte_count = 0

    def change(self, byte_count: int) -> None:
        self.byte_count += byte_count
        self._shelf.change(byte_count)
        if byte_count < 0:
            self._read.set()

    async def live_room(self, held_up: Callable[[], None]) -> None:
        """Return when the reader is near enough for more live audio; `held_up` hears if it is not."""
        while self.byte_count > LIVE_BYTES:
            held_up()
            self._read.clear()
            await self._read.wait()

    async def room(self) -> None:
        """Return when one more song may be begun. Called before a place in a stage is taken."""
        await self._shelf.room(self)
