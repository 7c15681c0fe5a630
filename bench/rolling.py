"""Songs while every replica of every service is replaced, one after another: how many are lost.

    python -m bench.rolling --models models/tiny

Starts two LM services, two DiT services and two gateways on this machine, keeps asking for songs,
and meanwhile stops each process with SIGTERM, as a rollout does, waits for its end, and starts it
again. Exits with 1 if a song was lost or a process did not end with 0. Needs what the services
need, and memory for two language models.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from acestep.client import Client, connect
from acestep.errors import ServiceError
from acestep_serve.child import Child, Service
from acestep_serve.system import Ports, System
from bench.failover import PORTS_APART, SEEDS_FROM, request, services

DRAINED_WITHIN_S = 300.0
STAGE_ADDRESSES = ("ACESTEP_GATEWAY_LM_ADDRESS", "ACESTEP_GATEWAY_DIT_ADDRESS")
PAUSE_S = 3.0
"""Between one replacement and the next, so that the gateways have seen that it is back."""


@dataclass(slots=True)
class Load:
    """What became of the songs."""

    made: int = 0
    begun_anew: int = 0
    lost: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    enough: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Replacement:
    """How one process was replaced."""

    name: str
    ending: str
    drained_s: float
    back_s: float
    songs: int
    """Made meanwhile."""


def replicas(models: Path, first_port: int, run_dir: Path) -> list[Service]:
    """Two of each service, in the order of their replacement."""
    first, stages = services(models, first_port, run_dir)
    port = first_port + 2 * PORTS_APART
    twin = System(models, "cpu", Ports(port, port + 1, port + 2, port + 3), run_dir, ("acestep-v15-turbo",))
    own = twin.services()[0]
    both = {name: first.environment[name] for name in STAGE_ADDRESSES}
    second = replace(own, environment={**own.environment, **both}, log=run_dir / "gateway-1.log")
    found = [*stages["dit"], *stages["lm"], first, second]
    return [
        replace(item, environment={**item.environment, f"ACESTEP_{item.name.upper()}_GRACE_S": "120"})
        for item in found
    ]


async def started(service: Service, prefix: Sequence[str] = ()) -> Child:
    """A new process, by a command that begins with `prefix`.

    Nothing of ours runs between fork and exec, where gRPC's threads would be missing.
    """
    with service.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(*prefix, sys.executable, "-m", service.module),
            env={**os.environ, **service.environment},  # noqa: TID251 - passed on, not read here
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Child(service, process)


async def serving(child: Child) -> None:
    """Raises `RuntimeError` if it ends instead."""
    waits = asyncio.create_task(child.serving()), asyncio.create_task(child.exited())
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    if not waits[0].done():
        raise RuntimeError("a service ended before it served; its log says why")


@asynccontextmanager
async def running(found: list[Service]) -> AsyncIterator[dict[str, Child]]:
    """Each service's process, by address. Whoever replaces one puts it there; nothing is left running."""
    children: dict[str, Child] = {}
    try:
        for service in found:
            children[service.address] = await started(service)
        for service in found:
            await serving(children[service.address])
        yield children
    finally:
        for child in reversed(children.values()):
            await child.stop(10.0, asyncio.Event())


async def ask(client: Client, load: Load, first_seed: int) -> None:
    """One song after another, until there are enough."""
    seed = first_seed
    while not load.enough.is_set():
        began = time.monotonic()
        try:
            async for event in client.generate(request(seed), timeout_s=DRAINED_WITHIN_S):
                load.begun_anew += event.HasField("retried")
                if event.HasField("song") and event.song.HasField("error"):
                    load.lost.append(event.song.error.message)
        except ServiceError as error:
            load.lost.append(str(error))
        else:
            load.made += 1
        load.slowest_s = max(load.slowest_s, time.monotonic() - began)
        seed += 1


async def replace_in_turn(
    found: list[Service], children: dict[str, Child], load: Load
) -> list[Replacement]:
    report = []
    for service in found:
        made, began = load.made, time.monotonic()
        child = children[service.address]
        os.kill(child.pid, signal.SIGTERM)
        ending = await asyncio.wait_for(child.exited(), DRAINED_WITHIN_S)
        drained = time.monotonic()
        children[service.address] = await started(service)
        await serving(children[service.address])
        back = time.monotonic()
        await asyncio.sleep(PAUSE_S)
        name = f"{service.name} {service.address}"
        report.append(Replacement(name, ending, drained - began, back - drained, load.made - made))
    return report


async def roll(models: Path, at_once: int, first_port: int) -> tuple[Load, list[Replacement]]:
    with tempfile.TemporaryDirectory() as folder:
        found = replicas(models, first_port, Path(folder))
        doors = [service.address for service in found if service.name == "gateway"]
        load = Load()
        async with (
            running(found) as children,
            connect(f"ipv4:{doors[0]},{doors[1]}") as one,
            connect(f"ipv4:{doors[1]},{doors[0]}") as other,
        ):
            askers = [
                asyncio.create_task(ask((one, other)[place % 2], load, SEEDS_FROM * (place + 1)))
                for place in range(at_once)
            ]
            try:
                report = await replace_in_turn(found, children, load)
            finally:
                load.enough.set()
                await asyncio.gather(*askers)
        return load, report


def main(models: Path, at_once: int, first_port: int) -> bool:
    """Print the table; whether all went well."""
    load, report = asyncio.run(roll(models, at_once, first_port))
    print("| replaced | ended with | drained in | back after | songs meanwhile |")
    print("| --- | --- | ---: | ---: | ---: |")
    for item in report:
        times = f"{item.drained_s:.1f} s | {item.back_s:.1f} s"
        print(f"| {item.name} | {item.ending} | {times} | {item.songs} |")
    print(
        f"\n{load.made} songs made, {len(load.lost)} lost, {load.begun_anew} parts begun anew;"
        f" the slowest song took {load.slowest_s:.1f} s"
    )
    for reason in load.lost:
        print(f"lost: {reason}")
    return not load.lost and all(item.ending == "exit code 0" for item in report)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("models/tiny"))
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--first-port", type=int, default=22050)
    options = parser.parse_args()
    sys.exit(0 if main(options.models, options.at_once, options.first_port) else 1)
