"""Uploaded audio, kept for a while on disk under a name that cannot be guessed."""

import asyncio
import contextlib
import errno
import logging
import os
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from acestep.music.v1 import music_pb2
from common.audio_file import MAGIC_BYTES, check_header, check_magic, unreadable
from common.errors import AceError, Kind, invalid
from common.music import CHUNK_BYTES, MAX_CHUNK_BYTES
from gateway.ages import Ages
from gateway.metrics import UPLOADED_BYTES, UPLOADS_LIMIT_BYTES

logger = logging.getLogger(__name__)

ID_BYTES = 16
AUDIO_ID_PATTERN = re.compile(r"[0-9a-f]{32}")
PARTIAL_SUFFIX = ".partial"
ABANDONED_S = 3600.0
"""A file that arrives, and to which nothing was added for so long, is what a crash left."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An audio file that is kept."""

    audio_id: str
    duration_s: float
    sample_rate_hz: int
    channels: int


class Uploads:
    """Files in one folder. A file unused for `lifetime_s` is deleted when an upload begins, or lacks room.

    The folder is listed then, and not for every chunk: what arrives is counted as it comes.
    """

    def __init__(self, folder: Path, max_file_bytes: int, max_total_bytes: int, lifetime_s: float) -> None:
        self._folder = folder
        self.max_file_bytes = max_file_bytes
        self._max_total_bytes = max_total_bytes
        UPLOADS_LIMIT_BYTES.set(max_total_bytes)
        self.lifetime_s = lifetime_s
        self._turn = asyncio.Lock()
        self._kept_bytes = 0
        """Of all files at the last listing, and of those that are complete since."""
        self._arriving: dict[str, int] = {}
        """Bytes of the files that arrive here, by name."""
        folder.mkdir(parents=True, exist_ok=True)
        self._ages = Ages(folder)

    async def add(self, chunks: AsyncIterator[bytes], announced_bytes: int | None) -> Upload:
        """Store a file. Raises `AceError`: INVALID if it is no audio or too large, OVERLOADED if full.

        Full is what may be kept, or the disk itself.
        """
        if announced_bytes is not None:
            self._check_size("header.byte_count", announced_bytes)
        audio_id = secrets.token_hex(ID_BYTES)
        partial = self._folder / f"{audio_id}{PARTIAL_SUFFIX}"
        await self._clean()
        self._arriving[partial.name] = 0
        try:
            # Buffered: an unbuffered file may take a part of a chunk and say nothing but how much.
            with self._space(), partial.open("wb") as file:
                async for chunk in chunks:
                    await self._take_room(partial.name, chunk)
                    await asyncio.to_thread(file.write, chunk)
            size = self._arriving[partial.name]
            if announced_bytes not in (None, size):
                raise invalid("header.byte_count", f"must be the file's {size} bytes", announced_bytes)
            upload = await asyncio.to_thread(inspected, partial, audio_id)
            async with self._turn:  # a listing that sees neither name would miss the file
                self._ages.used(partial.replace(self._folder / upload.audio_id))
                self._kept_bytes += size
            return upload
        finally:
            del self._arriving[partial.name]
            partial.unlink(missing_ok=True)
            UPLOADED_BYTES.set(self._total_bytes)

    def find(self, field: str, audio_id: str) -> Path:
        """The file of `audio_id`, whose lifetime starts anew. Raises `AceError` (NOT_FOUND)."""
        path = self._folder / audio_id
        if not AUDIO_ID_PATTERN.fullmatch(audio_id) or not path.is_file():
            raise AceError(
                Kind.NOT_FOUND,
                "AUDIO_NOT_FOUND",
                f"{field} names no uploaded audio;"
                f" uploads are kept for {self.lifetime_s:g} s after their last use",
                field=field,
                rule="must be the id of an upload that is still kept",
                value=audio_id[:64],
            )
        os.utime(path)
        self._ages.used(path)
        return path

    async def chunks(self, audio_id: str) -> AsyncIterator[music_pb2.FileChunk]:
        """The bytes of an uploaded file, as messages. Raises `AceError` (NOT_FOUND)."""
        with self.find("audio_id", audio_id).open("rb") as file:
            while data := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield music_pb2.FileChunk(data=data)

    @contextlib.contextmanager
    def _space(self) -> Iterator[None]:
        """Raises `AceError` (OVERLOADED) if the disk is full."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            logger.error("no space left for uploads in %s", self._folder)
            raise AceError(
                Kind.OVERLOADED,
                "UPLOADS_NO_SPACE",
                "the server has no space left for uploads; retry when older ones have expired",
                retry_after_s=min(60.0, self.lifetime_s),
            ) from None

    def _check_size(self, field: str, size: int) -> None:
        if not 0 <= size <= self.max_file_bytes:
            raise invalid(field, f"must be at most {self.max_file_bytes} bytes in all", size)

    @property
    def _total_bytes(self) -> int:
        return self._kept_bytes + sum(self._arriving.values())

    async def _take_room(self, name: str, chunk: bytes) -> None:
        """Count `chunk` for the file `name` that arrives. Raises `AceError` (INVALID, OVERLOADED)."""
        if len(chunk) > MAX_CHUNK_BYTES:
            raise invalid("chunk.data", f"must have at most {MAX_CHUNK_BYTES} bytes", len(chunk))
        self._check_size("chunk.data", self._arriving[name] + len(chunk))
        if self._total_bytes + len(chunk) > self._max_total_bytes:
            await self._clean()
        # Nothing is awaited between the question and the answer: no two uploads take the same room.
        if self._total_bytes + len(chunk) > self._max_total_bytes:
            raise AceError(
                Kind.OVERLOADED,
                "UPLOADS_FULL",
                f"{self._total_bytes} bytes of uploads are kept; retry when older ones have expired",
                retry_after_s=min(60.0, self.lifetime_s),
            )
        self._arriving[name] += len(chunk)

    async def _clean(self) -> None:
        """Delete what has expired, and count what is left."""
        async with self._turn:
            self._kept_bytes = await asyncio.to_thread(self._sweep, frozenset(self._arriving))
        UPLOADED_BYTES.set(self._total_bytes)

    def _sweep(self, arriving: frozenset[str]) -> int:
        names, total = set[str](), 0
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another upload may have ended
                status = path.stat()
                lifetime_s = ABANDONED_S if path.suffix == PARTIAL_SUFFIX else self.lifetime_s
                if path.name in arriving:
                    continue
                if self._ages.of(path.name, status.st_mtime_ns) >= lifetime_s:
                    path.unlink()
                else:
                    names.add(path.name)
                    total += status.st_size
        self._ages.keep(names)
        return total


def inspected(path: Path, audio_id: str) -> Upload:
    """Read the header alone. Raises `AceError` (INVALID)."""
    with path.open("rb") as file:
        check_magic("chunk.data", file.read(MAGIC_BYTES))
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        raise unreadable("chunk.data", error.error_string) from None
    check_header("chunk.data", info)
    return Upload(audio_id, info.duration, info.samplerate, info.channels)
