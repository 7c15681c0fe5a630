"""Songs while replicas are killed: how many arrive, and whether they are the same songs.

    python -m bench.failover --models models/tiny --songs 20

Starts two LM services, two DiT services and a gateway on this machine. Makes the songs once in
peace, and once more while a language model that is at work and a diffusion that is at work are
killed with SIGKILL. Needs what the services need, and memory for two language models.
"""

import argparse
import asyncio
import os
import re
import signal
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from acestep.client import Client, connect
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.songs import SongCollector
from acestep_serve.child import Child, Service
from acestep_serve.system import Ports, System

SONG_S = 30.0
AT_ONCE = 4
PORTS_APART = 10
WORKING = re.compile(r'acestep_gateway_replica_work_seconds\{replica="([^"]+)",stage="(\w+)"\} ([\d.e+]+)')
SEEDS_FROM = 1000


@dataclass(slots=True)
class Farm:
    """A gateway and the processes behind it, by address."""

    address: str
    metrics_port: int
    replicas: dict[str, Child] = field(default_factory=dict)

    def kill_one_at_work(self, stage: str) -> bool:
        """Kill, with all it started, the replica of `stage` that has most to do. False if none has."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as page:
            lines = WORKING.findall(page.read().decode())
        at_work = [(float(work_s), address) for address, name, work_s in lines if name == stage]
        work_s, address = max(at_work, default=(0.0, ""))
        if not work_s:
            return False
        os.killpg(self.replicas[address].pid, signal.SIGKILL)
        return True


@dataclass(slots=True)
class Outcome:
    """What became of the songs, by seed."""

    digests: dict[int, str] = field(default_factory=dict)
    retried: list[pb.Stage] = field(default_factory=list)
    seconds: float = 0.0
    slowest_s: float = 0.0


def services(models: Path, first_port: int, run_dir: Path) -> tuple[Service, dict[str, list[Service]]]:
    """The gateway's settings, and those of two replicas of each stage."""
    twins = [
        System(
            models=models,
            device="cpu",
            ports=Ports(port, port + 1, port + 2, port + 3),
            run_dir=run_dir,
            dits=("acestep-v15-turbo",),
        )
        for port in (first_port, first_port + PORTS_APART)
    ]
    stages: dict[str, list[Service]] = {"lm": [], "dit": []}
    for number, twin in enumerate(twins):
        for service in twin.services()[1:]:
            log = run_dir / f"{service.name}-{number}.log"
            small = {"ACESTEP_LM_KV_CACHE_GIB": "0.25"} if service.name == "lm" else {}
            stages[service.name].append(
                replace(service, log=log, environment={**service.environment, **small})
            )
    gateway = twins[0].services()[0]
    addresses = {
        f"ACESTEP_GATEWAY_{name.upper()}_ADDRESS": ",".join(item.address for item in items)
        for name, items in stages.items()
    }
    return replace(gateway, environment={**gateway.environment, **addresses}), stages


@asynccontextmanager
async def farm(models: Path, first_port: int) -> AsyncIterator[Farm]:
    """Everything started and serving; nothing is left running."""
    with tempfile.TemporaryDirectory() as folder:
        gateway, stages = services(models, first_port, Path(folder))
        running = Farm(gateway.address, first_port + 3)
        children: list[Child] = []
        try:
            for service in (*stages["dit"], *stages["lm"]):
                child = await Child.start(service)
                children.append(child)
                running.replicas[service.address] = child
            for child in tuple(children):
                await _serving(child)
            children.append(await Child.start(gateway))
            await _serving(children[-1])
            yield running
        finally:
            for child in reversed(children):
                await child.stop(10.0, asyncio.Event())


async def _serving(child: Child) -> None:
    """Raises `RuntimeError` if it exits instead."""
    serving, exited = asyncio.ensure_future(child.serving()), asyncio.ensure_future(child.exited())
    await asyncio.wait((serving, exited), return_when=asyncio.FIRST_COMPLETED)
    if exited.done():
        raise RuntimeError(f"a service ended with {exited.result()}")
    exited.cancel()


async def songs(client: Client, count: int, outcome: Outcome) -> None:
    """Make songs, a few at a time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def song(seed: int) -> None:
        async with turns:
            began = time.monotonic()
            collector = SongCollector()
            async for event in client.generate(request(seed), timeout_s=300.0):
                collector.add(event)
                if event.HasField("retried"):
                    outcome.retried.append(event.retried.stage)
            outcome.slowest_s = max(outcome.slowest_s, time.monotonic() - began)
            for file in collector.files:
                if not file.song.HasField("error"):
                    outcome.digests[seed] = file.song.audio_sha256

    began = time.monotonic()
    await asyncio.gather(*(song(SEEDS_FROM + place) for place in range(count)), return_exceptions=True)
    outcome.seconds = time.monotonic() - began


def request(seed: int) -> pb.GenerateMusicRequest:
    return pb.GenerateMusicRequest(
        caption="a song that must arrive",
        duration_seconds=SONG_S,
        batch=pb.BatchParams(seeds=[seed]),
    )


async def kill_in_turn(running: Farm, outcome: Outcome, count: int) -> list[str]:
    """Kill a language model after a quarter of the songs, and a diffusion after a half of them."""
    killed: list[str] = []
    for stage, after in (("lm", count // 4), ("dit", count // 2)):
        while len(outcome.digests) < after or not running.kill_one_at_work(stage):
            await asyncio.sleep(0.01)
        killed.append(stage)
    return killed


async def compare(models: Path, count: int, first_port: int) -> tuple[Outcome, Outcome, list[str]]:
    """The songs in peace, the songs while replicas are killed, and which were killed."""
    async with farm(models, first_port) as running, connect(running.address) as client:
        peace, trouble = Outcome(), Outcome()
        await songs(client, count, peace)
        killer = asyncio.create_task(kill_in_turn(running, trouble, count))
        await songs(client, count, trouble)
        async with asyncio.timeout(10):
            return peace, trouble, await killer


def main(models: Path, count: int, first_port: int) -> None:
    peace, trouble, killed = asyncio.run(compare(models, count, first_port))
    equal = sum(trouble.digests.get(seed) == digest for seed, digest in peace.digests.items())
    print(
        "| songs | killed | arrived | equal | begun anew | all in peace | all in trouble | slowest song |"
    )
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    print(
        f"| {count} | {', '.join(killed)} | {len(trouble.digests)} | {equal} | {len(trouble.retried)} |"
        f" {peace.seconds:.1f} s | {trouble.seconds:.1f} s |"
        f" {peace.slowest_s:.1f} s, {trouble.slowest_s:.1f} s |"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("models/tiny"))
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--first-port", type=int, default=21050)
    options = parser.parse_args()
    main(options.models, options.songs, options.first_port)
