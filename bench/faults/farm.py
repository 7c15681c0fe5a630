"""Services as processes that can be killed, paused, confined, and put on hosts of their own.

The gateway is the real one; the stages are real services with stand-in engines that take their time
(`tests/faults/standin.py`), so that a song's length in seconds is known and the same song can be
compared byte by byte.
"""

import asyncio
import os
import re
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from acestep.client import Client, connect
from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.songs import SongCollector
from acestep_serve.child import Child, Service
from bench.failover import WORKING
from bench.rolling import serving, started

STAGES = ("lm", "dit")
REPLICAS = ("lm-0", "lm-1", "dit-0", "dit-1")
GATEWAY = "gateway"
PACE_S = {"lm": "0.02", "dit": "0.15"}
"""A song of 10 s takes 1 s of codes and 1.2 s of diffusion."""
SONG_S = 10.0
ADMITTED = re.compile(r'acestep_gateway_replica_admitted\{replica="([^"]+)",stage="\w+"\} ([\d.]+)')
POLL_S = 0.02
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service runs, and what is run before it, as `ip netns exec ...` or `prlimit ...`."""

    host: str = LOOPBACK
    prefix: Sequence[str] = ()


@dataclass(slots=True)
class Told:
    """What the caller of one song saw."""

    digest: str = ""
    error: ServiceError | None = None
    seconds: float = 0.0
    begun_anew_s: list[float] = field(default_factory=list)
    """When it was told that a part begins anew, on the monotonic clock."""
    phases: dict["pb.Phase", asyncio.Event] = field(default_factory=dict)

    def phase(self, phase: "pb.Phase") -> asyncio.Event:
        """Set when it has come so far."""
        return self.phases.setdefault(phase, asyncio.Event())

    @property
    def fate(self) -> str:
        return "arrived" if self.error is None else f"{self.error.code.name} {self.error.reason}"

    def equals(self, peace: "Told") -> bool:
        """Whether it arrived, and is byte by byte what `peace` is."""
        return bool(self.digest) and self.digest == peace.digest

    def beside(self, peace: "Told") -> str:
        """What became of it, where the same song in peace was `peace`."""
        equal = ", the same" if self.equals(peace) else ""
        anew = f", begun anew {len(self.begun_anew_s)} time" if self.begun_anew_s else ""
        return f"{self.fate}{equal}{anew}, after {self.seconds:.1f} s instead of {peace.seconds:.1f} s"


@dataclass(slots=True)
class Farm:
    """A gateway and two replicas of each stage, by name."""

    services: dict[str, Service]
    places: dict[str, Place]
    metrics_port: int
    song_s: float = SONG_S
    """Length of the songs that are asked for, if a trial does not say another."""
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.services[GATEWAY].address

    async def start(self, *names: str) -> None:
        """Start processes, and return when they serve."""
        for name in names:
            self.children[name] = await started(self.services[name], self.places[name].prefix)
        for name in names:
            await serving(self.children[name])

    def send(self, name: str, signum: signal.Signals) -> None:
        """Send it to the process and to all that it started."""
        os.killpg(self.children[name].pid, signum)

    async def kill(self, name: str) -> None:
        self.send(name, signal.SIGKILL)
        await self.children[name].exited()

    async def end(self) -> None:
        """Without ado: how services stop is not what is tried here."""
        for name in self.children:
            with suppress(ProcessLookupError):
                self.send(name, signal.SIGKILL)
        await asyncio.gather(*(child.exited() for child in self.children.values()))

    def log(self, name: str) -> str:
        return self.services[name].log.read_text()

    async def logged(self, name: str, pattern: str, since: int, within_s: float) -> float:
        """Wait until its log says `pattern` after `since` characters; the monotonic time of that."""
        async with asyncio.timeout(within_s):
            while not re.search(pattern, self.log(name)[since:]):
                await asyncio.sleep(POLL_S)
        return time.monotonic()

    async def at_work(self, stage: str) -> str:
        """Name of the replica that has most to do, as soon as one has anything."""
        while True:
            page = await asyncio.to_thread(self._metrics)
            work = [(float(s), where) for where, name, s in WORKING.findall(page) if name == stage]
            if (most := max(work, default=(0.0, "")))[0]:
                return next(name for name, item in self.services.items() if item.address == most[1])
            await asyncio.sleep(POLL_S)

    async def admitted(self, *names: str, within_s: float = 60.0) -> None:
        """Wait until the gateway gives these work."""
        wanted = {self.services[name].address for name in names}
        async with asyncio.timeout(within_s):
            while not wanted <= await self._admitted():
                await asyncio.sleep(POLL_S)

    async def _admitted(self) -> set[str]:
        try:
            page = await asyncio.to_thread(self._metrics)
        except OSError:  # the gateway is not there
            return set()
        return {where for where, value in ADMITTED.findall(page) if float(value)}

    def _metrics(self) -> str:
        host = self.places[GATEWAY].host
        with urllib.request.urlopen(f"http://{host}:{self.metrics_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())


@asynccontextmanager
async def farm(
    folder: Path,
    first_port: int,
    *,
    gateway: Mapping[str, str] | None = None,
    places: Mapping[str, Place] | None = None,
) -> AsyncIterator[Farm]:
    """Everything started and admitted; nothing is left running.

    `gateway` are settings of it, such as `MAX_SONGS`; what has no place in `places` is on loopback.
    """
    where = {name: (places or {}).get(name, Place()) for name in (GATEWAY, *REPLICAS)}
    services = {
        name: _stage(folder, name, where[name], first_port + 1 + at) for at, name in enumerate(REPLICAS)
    }
    own = {
        "ADDRESS": f"{where[GATEWAY].host}:{first_port}",
        "METRICS_HOST": where[GATEWAY].host,
        "METRICS_PORT": str(first_port + 5),
        "LM_ADDRESS": ",".join(services[name].address for name in REPLICAS[:2]),
        "DIT_ADDRESS": ",".join(services[name].address for name in REPLICAS[2:]),
        "UPLOAD_DIR": str(folder / "uploads"),
        "GRACE_S": "5",
        "LOG_FORMAT": "text",
        **(gateway or {}),
    }
    services[GATEWAY] = _service(folder, GATEWAY, "gateway", own)
    running = Farm(services, where, first_port + 5)
    try:
        await running.start(*REPLICAS, GATEWAY)
        await running.admitted(*REPLICAS)
        yield running
    finally:
        await running.end()


def _stage(folder: Path, name: str, place: Place, port: int) -> Service:
    stage = name.partition("-")[0]
    settings = {"ADDRESS": f"{place.host}:{port}", "PACE_S": PACE_S[stage]}
    service = _service(folder, stage, f"tests.faults.standin_{stage}", settings)
    return replace(service, log=folder / f"{name}.log")


def _service(folder: Path, name: str, module: str, settings: Mapping[str, str]) -> Service:
    environment = {f"ACESTEP_{name.upper()}_{key}": value for key, value in settings.items()}
    return Service(name, module, settings["ADDRESS"], environment, folder / f"{name}.log")


def request(seed: int, song_s: float = SONG_S) -> pb.GenerateMusicRequest:
    """One song, with codes of the language model. Everything is given that it would have to plan."""
    return pb.GenerateMusicRequest(
        caption="a song that must arrive",
        bpm=100,
        keyscale="C major",
        timesignature="4",
        duration_seconds=song_s,
        batch=pb.BatchParams(seeds=[seed]),
    )


async def follow(
    client: Client, message: pb.GenerateMusicRequest, told: Told, timeout_s: float = 120.0
) -> Told:
    """Ask for `message`, and write into `told` what comes."""
    began, collector = time.monotonic(), SongCollector()
    try:
        async for event in client.generate(message, timeout_s):
            collector.add(event)
            if event.HasField("progress"):
                told.phase(event.progress.phase).set()
            if event.HasField("retried"):
                told.begun_anew_s.append(time.monotonic())
        told.digest = collector.files[0].song.audio_sha256
    except ServiceError as error:
        told.error = error
    told.seconds = time.monotonic() - began
    return told


async def song(
    farm: Farm,
    seed: int,
    told: Told | None = None,
    *,
    song_s: float | None = None,
    timeout_s: float = 120.0,
) -> Told:
    """A song over a connection of its own."""
    async with connect(farm.address) as client:
        return await follow(client, request(seed, song_s or farm.song_s), told or Told(), timeout_s)
