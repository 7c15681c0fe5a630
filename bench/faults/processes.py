"""Processes that are killed, and processes that stand still."""

import asyncio
import signal
import time

from acestep.gateway.v1 import music_service_pb2 as pb
from bench.faults.farm import GATEWAY, REPLICAS, Farm, Told, song
from bench.faults.finding import NOTHING, Finding
from bench.faults.network import MARGIN_S, REPLICA_GIVEN_UP_S

BUSY_S = 2.0
"""What a machine that other work shares may add to a time that was promised."""
AT_WORK = {"lm": pb.PHASE_CODES, "dit": pb.PHASE_DIFFUSION}
TITLES = {"lm": "an LM replica", "dit": "a DiT replica"}


async def replica_killed(farm: Farm, stage: str) -> Finding:
    """SIGKILL for a replica at work, while there is another one."""
    peace = await song(farm, seed=1)
    told = Told()
    task = asyncio.create_task(song(farm, 1, told))
    await told.phase(AT_WORK[stage]).wait()
    victim = await farm.at_work(stage)

    killed = time.monotonic()
    await farm.kill(victim)
    await task
    await farm.start(victim)
    await farm.admitted(victim)

    equal = told.equals(peace)
    noticed = told.begun_anew_s[0] - killed if told.begun_anew_s else None
    return Finding(
        f"kill -9 of {TITLES[stage]} at work, another is there",
        "the song arrives, the same one",
        told.beside(peace),
        NOTHING if equal else "the song",
        noticed,
        equal and len(told.begun_anew_s) == 1,
    )


async def stage_killed(farm: Farm, stage: str) -> Finding:
    """SIGKILL for every replica of a stage, and their return."""
    names = [name for name in REPLICAS if name.startswith(stage)]
    told = Told()
    task = asyncio.create_task(song(farm, 2, told))
    await told.phase(AT_WORK[stage]).wait()

    await asyncio.gather(*(farm.kill(name) for name in names))
    await task
    meanwhile = await song(farm, 3)
    await farm.start(*names)
    served = time.monotonic()
    await farm.admitted(*names)
    back = time.monotonic() - served
    again = await song(farm, 2)

    refused = [item.error for item in (told, meanwhile)]
    kept = all(
        error is not None and error.code.name == "UNAVAILABLE" and error.retry_after_s for error in refused
    )
    return Finding(
        f"kill -9 of every {stage.upper()} replica",
        "UNAVAILABLE with a time to come again; works again by itself once one serves",
        f"the song at work: {told.fate}; a new one: {meanwhile.fate}; afterwards: {again.fate}",
        "the call; the song is made when asked again",
        back,
        kept and again.error is None,
    )


async def gateway_killed(farm: Farm) -> Finding:
    """SIGKILL for the only gateway; its caller asks again."""
    peace = await song(farm, seed=4)
    told = Told()
    task = asyncio.create_task(song(farm, 4, told))
    await told.phase(pb.PHASE_CODES).wait()
    victim = await farm.at_work("lm")
    since = len(farm.log(victim))

    killed = time.monotonic()
    await farm.kill(GATEWAY)
    await task
    freed = await farm.logged(victim, "GenerateCodes CANCELLED", since, within_s=60.0) - killed
    await farm.start(GATEWAY)
    back = time.monotonic() - killed
    again = await song(farm, 4)

    kept = told.error is not None and told.error.code.name == "UNAVAILABLE" and again.equals(peace)
    return Finding(
        "kill -9 of the only gateway",
        "callers are told UNAVAILABLE; stages stop their work for it; asked again, the same song comes",
        f"{told.fate}; the language model was free after {freed:.1f} s; asked again: {again.beside(peace)}",
        "the call, and results kept for repeated ids",
        back,
        kept,
    )


async def replica_paused(farm: Farm, stage: str, pause_s: float) -> Finding:
    """SIGSTOP for a replica at work, for less than it takes to be given up."""
    peace = await song(farm, seed=5)
    told = Told()
    task = asyncio.create_task(song(farm, 5, told))
    await told.phase(AT_WORK[stage]).wait()
    victim = await farm.at_work(stage)

    farm.send(victim, signal.SIGSTOP)
    meanwhile = await song(farm, 6, timeout_s=pause_s + 60)
    await asyncio.sleep(max(0.0, pause_s - meanwhile.seconds))
    farm.send(victim, signal.SIGCONT)
    resumed = time.monotonic()
    await task
    recovery = time.monotonic() - resumed
    await farm.admitted(*REPLICAS)

    equal = told.equals(peace)
    latest_s = peace.seconds + pause_s + BUSY_S
    return Finding(
        f"SIGSTOP of {TITLES[stage]} at work for {pause_s:.0f} s",
        "the song arrives, the same one, late at most by the pause; others go to another replica",
        f"{told.beside(peace)}; another song meanwhile took {meanwhile.seconds:.1f} s",
        NOTHING if equal and meanwhile.error is None else "a song",
        recovery,
        equal and told.seconds <= latest_s and meanwhile.error is None and meanwhile.seconds <= latest_s,
    )


async def replica_stuck(farm: Farm, stage: str) -> Finding:
    """SIGSTOP for good: it answers nothing, and its connections stay open."""
    peace = await song(farm, seed=7)
    told = Told()
    task = asyncio.create_task(song(farm, 7, told))
    await told.phase(AT_WORK[stage]).wait()
    victim = await farm.at_work(stage)

    stuck = time.monotonic()
    farm.send(victim, signal.SIGSTOP)
    await task
    equal, noticed = told.equals(peace), [at - stuck for at in told.begun_anew_s]
    farm.send(victim, signal.SIGCONT)
    await farm.admitted(victim)

    return Finding(
        f"SIGSTOP of {TITLES[stage]} at work for good",
        f"given up within {REPLICA_GIVEN_UP_S:.0f} s; the song arrives, the same one",
        told.beside(peace),
        NOTHING if equal else "the song",
        noticed[0] if noticed else None,
        equal and bool(noticed) and noticed[0] <= REPLICA_GIVEN_UP_S + MARGIN_S,
    )


async def gateway_paused(farm: Farm, pause_s: float) -> Finding:
    """SIGSTOP for the only gateway; whoever is told that it is gone asks again."""
    peace = await song(farm, seed=8)
    told = Told()
    task = asyncio.create_task(song(farm, 8, told))
    await told.phase(pb.PHASE_CODES).wait()

    farm.send(GATEWAY, signal.SIGSTOP)
    await asyncio.sleep(pause_s)
    farm.send(GATEWAY, signal.SIGCONT)
    resumed = time.monotonic()
    await task
    again = await song(farm, 8)
    recovery = time.monotonic() - resumed

    given_up = told.error is not None and told.error.code.name == "UNAVAILABLE"
    return Finding(
        f"SIGSTOP of the only gateway for {pause_s:.0f} s",
        "the song arrives, late by the pause, or its caller is told UNAVAILABLE within 40 s; asked again,"
        " the same song comes",
        f"{told.beside(peace)}; asked again: {again.beside(peace)}",
        NOTHING if told.equals(peace) else "the call; the song is made when asked again",
        recovery,
        again.equals(peace) and (told.equals(peace) or (given_up and told.seconds < pause_s + 41.0)),
    )


async def idle_replica_paused(farm: Farm, song_count: int = 4) -> Finding:
    """SIGSTOP for a DiT replica that has nothing to do, so that it is the one that is asked next."""
    peace = await song(farm, seed=9)
    turn = {name: farm.services[name].log.stat().st_mtime for name in REPLICAS if name.startswith("dit")}
    victim = min(turn, key=lambda name: turn[name])  # among equals, who was asked last is asked last
    farm.send(victim, signal.SIGSTOP)
    told = [await song(farm, 9) for _ in range(song_count)]
    farm.send(victim, signal.SIGCONT)
    resumed = time.monotonic()
    await farm.admitted(*REPLICAS)

    slowest = max(told, key=lambda item: item.seconds)
    arrived = sum(item.equals(peace) for item in told)
    return Finding(
        "SIGSTOP of an idle DiT replica",
        "every song arrives; it is given up at the first question that it does not answer in 5 s",
        f"{arrived} of {song_count} songs arrived; the slowest {slowest.beside(peace)}",
        NOTHING if arrived == song_count else f"{song_count - arrived} songs",
        time.monotonic() - resumed,
        arrived == song_count,
    )
