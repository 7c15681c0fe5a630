"""A machine that runs out of something: disk, memory; and a clock that jumps."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import numpy as np

from acestep.client import connect
from acestep.client.audio import Samples
from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from bench.faults.farm import GATEWAY, REPLICAS, Farm, Place, Told, farm, follow, request, song
from bench.faults.finding import NOTHING, Finding, NotHere

MIB = 1 << 20
DISK_BYTES = 2 * MIB
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
"""Of Debian's package `libfaketime`."""
CGROUPS = Path("/sys/fs/cgroup")


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of `DISK_BYTES` at `folder`. Raises `NotHere` if none can be mounted."""
    if os.geteuid() != 0:
        raise NotHere("a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", folder],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        raise NotHere(f"no file system can be mounted: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


async def full_disk(folder: Path, first_port: int) -> Finding:
    """The disk that uploads, and all logs, are written to."""
    with small_disk(folder):
        async with farm(folder, first_port) as running:
            peace = await song(running, seed=21)
            kept = await _uploaded(running, byte_count=MIB)
            free = _free_bytes(folder)
            # Its last chunk fits in part: whoever believes a short write keeps half a file.
            refusals = [await _uploaded(running, size) for size in (free + 1000, 4 * DISK_BYTES)]
            left_over = free - _free_bytes(folder)
            filler = folder / "filler"
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
            told = await song(running, seed=21)
            filler.unlink()
            freed = time.monotonic()
            afterwards = await _uploaded(running, byte_count=MIB // 4)
            recovery = time.monotonic() - freed
    fits = kept == afterwards == "kept"
    refused = set(refusals) == {"RESOURCE_EXHAUSTED UPLOADS_NO_SPACE"}
    equal = told.equals(peace)
    return Finding(
        "the disk of uploads and logs is full",
        "uploads are refused with RESOURCE_EXHAUSTED, none is kept in part; songs go on",
        f"uploads: {', '.join(sorted(set(refusals)))}, {left_over / MIB:.1f} MiB left behind;"
        f" a song meanwhile {told.beside(peace)}; an upload after room was made: {afterwards}",
        NOTHING if equal and fits else "a song or an upload",
        recovery,
        fits and refused and equal and left_over < 0.1 * MIB,
    )


async def _uploaded(running: Farm, byte_count: int) -> str:
    sound = Samples(np.random.default_rng(1).uniform(-0.5, 0.5, byte_count // 4), 48_000)
    async with connect(running.address) as client:
        try:
            await client.upload(sound, timeout_s=30.0)
        except ServiceError as error:
            return f"{error.code.name} {error.reason}"
    return "kept"


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


@contextmanager
def memory_limit(byte_count: int) -> Iterator[tuple[str, ...]]:
    """What starts a command that is killed above it. Raises `NotHere` without control groups."""
    v2 = (CGROUPS / "cgroup.controllers").exists()
    group = (CGROUPS if v2 else CGROUPS / "memory") / f"ace{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.max" if v2 else "memory.limit_in_bytes")).write_text(str(byte_count))
    except OSError as error:
        raise NotHere(f"no control group can be made: {error}") from None
    try:
        yield ("sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh")
    finally:
        while _busy(group):  # the kernel takes a moment to forget the last process
            time.sleep(0.05)


def _busy(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:
        return True
    return False


async def memory_limit_reached(folder: Path, first_port: int, limit_mib: int = 420) -> Finding:
    """A song that does not fit into the memory that one of two DiT replicas may have."""
    with memory_limit(limit_mib * MIB) as confined:
        async with farm(folder, first_port, places={"dit-0": Place(prefix=confined)}) as running:
            small = await song(running, seed=22)
            ended = asyncio.create_task(running.children["dit-0"].exited())
            told = await _big_song(running)
            if not told.begun_anew_s:  # it went to the other one, so the next goes to this one
                told = await _big_song(running)
            async with asyncio.timeout(10):
                died = await ended
            again = await _big_song(running)  # by the one that is left
            restarted = time.monotonic()
            await running.start("dit-0")
            await running.admitted("dit-0")
            recovery = time.monotonic() - restarted
    equal = told.equals(again)
    return Finding(
        f"a DiT replica reaches its memory limit ({limit_mib} MiB, a song of 240 s)",
        "the kernel kills that one; the song arrives from another, the same one",
        f"a song of 10 s {small.fate}; the replica: {died}; the large song {told.beside(again)}",
        NOTHING if equal else "the song",
        recovery,
        equal and len(told.begun_anew_s) == 1 and died == "SIGKILL",
    )


async def _big_song(running: Farm) -> Told:
    """240 s of the diffusion alone: its codes are given."""
    message = request(22, running.song_s)
    message.ClearField("duration_seconds")
    message.audio_codes.extend([1] * 1200)
    message.lm.thinking = False
    message.lm.chain_of_thought.use_cot_caption = message.lm.chain_of_thought.use_cot_language = False
    async with connect(running.address) as client:
        return await follow(client, message, Told())


async def clock_jumps(folder: Path, first_port: int, jump_s: int = 3600) -> Finding:
    """The wall clocks of all services go wrong under a song; they are set back under another."""
    if not FAKETIME.exists():
        raise NotHere("libfaketime is not installed")
    clock = folder / "clock"
    clock.write_text("+0")
    faked = (
        "env",
        f"LD_PRELOAD={FAKETIME}",
        f"FAKETIME_TIMESTAMP_FILE={clock}",
        "FAKETIME_CACHE_DURATION=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    )
    places = {name: Place(prefix=faked) for name in (GATEWAY, *REPLICAS)}
    async with farm(folder, first_port, places=places) as running:
        await song(running, seed=24)  # the first one takes longer under the library
        peace = await song(running, seed=23)
        uploads = [await _uploaded(running, MIB)]
        songs = list[Told]()
        for sign in ("+", "-"):
            songs.append(await _song_under_jump(running, clock, f"{sign}{jump_s}"))
            uploads.append(await _uploaded(running, MIB))  # what has expired is deleted now
        kept_count = sum(1 for _ in (folder / "uploads").iterdir())
        hours = _logged_hours(running.log(GATEWAY))
    equal = [told.equals(peace) for told in songs]
    uploads_stay = kept_count == uploads.count("kept") == len(uploads)
    jumped = max(hours) - min(hours) > 1.5 * jump_s / 3600
    return Finding(
        f"the clocks of all services jump by {jump_s} s, forward and back",
        "songs under way arrive, the same; deadlines count on, and uploads do not expire",
        f"{'; '.join(told.beside(peace) for told in songs)}; {kept_count} of {len(uploads)} uploads stay"
        + ("" if jumped else "; the clock did not jump"),
        NOTHING if all(equal) and uploads_stay else "a song or an upload",
        None,
        all(equal) and uploads_stay and jumped,
    )


async def _song_under_jump(running: Farm, clock: Path, offset: str) -> Told:
    """A song with a deadline far shorter than the jump."""
    told = Told()
    task = asyncio.create_task(song(running, 23, told, timeout_s=60.0))
    await told.phase(pb.PHASE_CODES).wait()
    clock.write_text(offset)
    await task
    await asyncio.sleep(1.1)  # until the library has read the file again
    return told


def _logged_hours(log: str) -> list[float]:
    """The times at which lines were logged."""
    stamps = [line[:19] for line in log.splitlines() if line[:2] == "20"]
    return [datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S").timestamp() / 3600 for stamp in stamps]
