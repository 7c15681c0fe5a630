"""Callers that read slowly, say nothing, or speak something that is not HTTP/2."""

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from acestep.client import connect
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from bench.faults.farm import GATEWAY, Farm, Told, request, song
from bench.faults.finding import NOTHING, Finding
from bench.faults.frames import OPENING, floods, malformed
from bench.memory import open_file_count, resident_mib

CLOSED_WITHIN_S = 5.0
MAX_GROWN_MIB = 150.0
MAY_BE_TURNED_AWAY = {"arrived", "CANCELLED CANCELLED", "UNAVAILABLE UNAVAILABLE"}


@dataclass(frozen=True, slots=True)
class State:
    """What the gateway's process has."""

    mib: float
    files: float

    @classmethod
    def of(cls, farm: Farm) -> "State":
        pid = farm.children[GATEWAY].pid
        return cls(resident_mib(pid), open_file_count(pid))


async def send(farm: Farm, content: bytes) -> bool:
    """Whether the gateway ended the connection by itself, or answered, within `CLOSED_WITHIN_S`."""
    host, _, port = farm.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(CLOSED_WITHIN_S):
            writer.write(content)
            await writer.drain()
            while await reader.read(65536):
                pass
        return True
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    finally:
        writer.close()


async def malformed_frames(farm: Farm) -> Finding:
    """Connections that break the rules of HTTP/2, HPACK or gRPC, beside a song."""
    kinds = malformed()
    peace, told, again, cost = await _beside(farm, kinds)
    return Finding(
        f"{len(kinds)} kinds of malformed frames",
        "the process and all other calls go on; what the connections took is given back",
        f"{len(cost.closed)} of the connections were ended within {CLOSED_WITHIN_S:.0f} s, the others say"
        f" what is ignored or incomplete; a song meanwhile {told.beside(peace)}; {cost}",
        NOTHING if told.equals(peace) else "a song",
        None,
        told.equals(peace) and again.equals(peace) and cost.is_small,
    )


async def flooded(farm: Farm) -> Finding:
    """Connections that say what is right, ten thousands of times."""
    kinds = floods()
    peace, told, again, cost = await _beside(farm, kinds)
    return Finding(
        f"{len(kinds)} floods at once: {', '.join(kinds)}",
        "the process goes on with a bounded memory; gRPC may turn calls away while it lasts, not after it",
        f"{len(cost.closed)} were ended; a song meanwhile: {told.fate}; one right after:"
        f" {again.beside(peace)}; {cost}",
        NOTHING if told.equals(peace) else "a call that was turned away before it began",
        None,
        told.fate in MAY_BE_TURNED_AWAY and again.equals(peace) and cost.is_small,
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """What connections did to the gateway."""

    closed: list[str]
    """Those that it ended by itself."""
    before: State
    after: State

    @property
    def is_small(self) -> bool:
        grown_mib = self.after.mib - self.before.mib
        return grown_mib < MAX_GROWN_MIB and self.after.files <= self.before.files + 1

    def __str__(self) -> str:
        files = self.after.files - self.before.files
        return f"memory {self.before.mib:.0f} to {self.after.mib:.0f} MiB, {files:+.0f} open files"


async def _beside(farm: Farm, kinds: dict[str, bytes]) -> tuple[Told, Told, Told, Cost]:
    """The same song in peace, while each of `kinds` is sent over a connection of its own, and after it."""
    peace = await song(farm, seed=31)
    before = State.of(farm)
    task = asyncio.create_task(song(farm, 31))
    ended = await asyncio.gather(*(send(farm, content) for content in kinds.values()))
    told = await task
    again = await song(farm, seed=31)
    await _files_again(farm, before.files)
    closed = [name for name, done in zip(kinds, ended, strict=True) if done]
    return peace, told, again, Cost(closed, before, State.of(farm))


async def _files_again(farm: Farm, wanted: float, within_s: float = 10.0) -> float:
    """Open files of the gateway, when they are as few as before or the time is over."""
    ends = time.monotonic() + within_s
    while State.of(farm).files > wanted and time.monotonic() < ends:
        await asyncio.sleep(0.1)
    return State.of(farm).files


def silent_connections(farm: Farm, count: int, opening: bytes) -> Iterator[socket.socket]:
    host, _, port = farm.address.rpartition(":")
    for _ in range(count):
        peer = socket.create_connection((host, int(port)))
        peer.sendall(opening)
        yield peer


async def silent_callers(farm: Farm, count: int, wait_s: float) -> Finding:
    """Connections that say nothing, or no more than hello, and are never closed by their callers."""
    peace = await song(farm, seed=32)
    before, began = State.of(farm).files, time.monotonic()
    peers = [peer for opening in (b"", OPENING) for peer in silent_connections(farm, count, opening)]
    await asyncio.sleep(0.5)
    most = State.of(farm).files
    told = await song(farm, seed=32)
    left = await _files_again(farm, before, wait_s)
    closed_s = time.monotonic() - began
    for peer in peers:
        peer.close()

    equal = told.equals(peace)
    return Finding(
        f"{2 * count} half-open connections that never say more",
        "songs go on; the connections are closed by the gateway",
        f"a song meanwhile {told.beside(peace)}; open files {before:.0f}, then {most:.0f}, then {left:.0f}"
        f" after {closed_s:.0f} s",
        NOTHING if equal else "a song",
        closed_s,
        equal and left <= before + 1,
    )


async def slow_callers(farm: Farm, count: int = 8) -> Finding:
    """Callers that ask for large files, read the first message, and then nothing."""
    peace = await song(farm, seed=33)
    before, began = State.of(farm), time.monotonic()
    since = len(farm.log(GATEWAY))
    message = request(33, song_s=60.0)
    message.audio_codes.extend([1] * 300)
    message.ClearField("duration_seconds")
    message.output.audio_format = music_pb2.AUDIO_FORMAT_WAV32
    async with connect(farm.address) as client:
        streams = [client.generate(_with_seed(message, place), 300.0) for place in range(count)]
        for stream in streams:
            await anext(stream)
        others = [await song(farm, seed=33) for _ in range(3)]
        most = State.of(farm).mib
        every = f"(?s)(GenerateMusic CANCELLED.*){{{count}}}"
        await farm.logged(GATEWAY, every, since, within_s=180.0)
        freed_s = time.monotonic() - began
        for stream in streams:
            await stream.aclose()
    after = State.of(farm).mib

    equal = all(item.equals(peace) for item in others)
    slowest_s = max(item.seconds for item in others)
    return Finding(
        f"{count} callers that read nothing of their files of 23 MB",
        "they hold no device; others go on; they are cancelled 60 s after their last reading",
        f"{len(others)} songs meanwhile arrived, the slowest in {slowest_s:.1f} s;"
        f" all cancelled after {freed_s:.0f} s; memory {before.mib:.0f}, {most:.0f}, then {after:.0f} MiB",
        NOTHING if equal else "a song",
        freed_s,
        equal,
    )


def _with_seed(message: pb.GenerateMusicRequest, seed: int) -> pb.GenerateMusicRequest:
    own = pb.GenerateMusicRequest()
    own.CopyFrom(message)
    own.batch.seeds[:] = [seed]
    return own
