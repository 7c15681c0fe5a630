"""Hosts that can reach each other no more, late, or only in one way of speaking."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from acestep.gateway.v1 import music_service_pb2 as pb
from bench.faults.cable import Cable, hosts
from bench.faults.farm import GATEWAY, REPLICAS, Farm, Place, Told, farm, song
from bench.faults.finding import NOTHING, Finding

CALLERS = "callers"
REPLICA_GIVEN_UP_S = 25.0
"""The gateway asks a replica after 15 s of silence, and waits 10 s for the answer."""
CALLER_GIVEN_UP_S = 40.0
"""It asks a caller after 30 s."""
MARGIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Net:
    """A farm whose gateway and replicas each have a host of their own, as its callers have."""

    farm: Farm
    cables: dict[str, Cable]


@asynccontextmanager
async def net(folder: Path, first_port: int) -> AsyncIterator[Net]:
    """Raises `NotHere` where there can be no hosts."""
    with hosts(GATEWAY, REPLICAS, CALLERS) as there:
        places = {name: Place(there.addresses[name], there.prefixes[name]) for name in (GATEWAY, *REPLICAS)}
        async with farm(folder, first_port, places=places) as running:
            yield Net(running, there.cables)


async def short_cut(net: Net, cut_s: float) -> Finding:
    """A cable that is out for a moment, while codes come through it."""
    peace = await song(net.farm, seed=11)
    told = Told()
    task = asyncio.create_task(song(net.farm, 11, told))
    await told.phase(pb.PHASE_CODES).wait()
    cable = net.cables[await net.farm.at_work("lm")]

    cable.is_cut = True
    await asyncio.sleep(cut_s)
    cable.is_cut = False
    healed = time.monotonic()
    await task

    equal = told.equals(peace)
    return Finding(
        f"network between gateway and LM cut for {cut_s:.0f} s",
        "the song arrives, the same one, and nothing is begun anew",
        told.beside(peace),
        NOTHING if equal else "the song",
        time.monotonic() - healed,
        equal and not told.begun_anew_s,
    )


async def long_cut(net: Net, stage: str) -> Finding:
    """A host that is out of reach until its song has come from another one."""
    peace = await song(net.farm, seed=12)
    told = Told()
    phase = pb.PHASE_CODES if stage == "lm" else pb.PHASE_DIFFUSION
    task = asyncio.create_task(song(net.farm, 12, told))
    await told.phase(phase).wait()
    victim = await net.farm.at_work(stage)

    cut = time.monotonic()
    net.cables[victim].is_cut = True
    await task
    noticed = told.begun_anew_s[0] - cut if told.begun_anew_s else None
    others = await song(net.farm, 13)
    net.cables[victim].is_cut = False
    healed = time.monotonic()
    await net.farm.admitted(victim)
    back = time.monotonic() - healed

    equal = told.equals(peace)
    return Finding(
        f"network between gateway and the {stage.upper()} replica at work cut",
        f"given up within {REPLICA_GIVEN_UP_S:.0f} s; the song arrives, the same one; others do not wait",
        f"{told.beside(peace)}; a song during the cut took {others.seconds:.1f} s; admitted again"
        f" {back:.1f} s after the cable was mended",
        NOTHING if equal and others.error is None else "a song",
        noticed,
        equal and others.error is None and noticed is not None and noticed <= REPLICA_GIVEN_UP_S + MARGIN_S,
    )


async def caller_vanishes(net: Net) -> Finding:
    """A caller whose host is gone, without a word, while its song is made."""
    told = Told()
    task = asyncio.create_task(song(net.farm, 14, told, song_s=600.0, timeout_s=300.0))
    await told.phase(pb.PHASE_CODES).wait()
    victim = await net.farm.at_work("lm")
    since = len(net.farm.log(victim))

    cut = time.monotonic()
    net.cables[CALLERS].is_cut = True
    freed = await net.farm.logged(victim, "GenerateCodes CANCELLED", since, within_s=120.0) - cut
    await task
    told_after = time.monotonic() - cut
    net.cables[CALLERS].is_cut = False
    again = await song(net.farm, 15)

    return Finding(
        "half-open: the caller's host vanishes without a word",
        f"within {CALLER_GIVEN_UP_S:.0f} s its work is cancelled and the device is free, and the caller is"
        " told UNAVAILABLE",
        f"device free after {freed:.1f} s; the caller: {told.fate} after {told_after:.1f} s;"
        f" the next song {again.fate}",
        "the song, which nobody waits for",
        freed,
        max(freed, told_after) <= CALLER_GIVEN_UP_S + MARGIN_S
        and told.error is not None
        and told.error.code.name == "UNAVAILABLE"
        and again.error is None,
    )


async def delayed(net: Net, delay_s: float) -> Finding:
    """Every packet on every cable comes late."""
    peace = await song(net.farm, seed=16)
    for cable in net.cables.values():
        cable.delay_s = delay_s
    told = await song(net.farm, 16)
    for cable in net.cables.values():
        cable.delay_s = 0.0

    equal = told.equals(peace)
    return Finding(
        f"{1000 * delay_s:.0f} ms of delay each way between all hosts",
        "the song arrives, the same one, later by some round trips",
        told.beside(peace),
        NOTHING if equal else "the song",
        None,
        equal and not told.begun_anew_s,
    )
