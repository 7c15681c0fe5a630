"""The same farm with real stages: two language models on vLLM, and two diffusions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bench.failover import services
from bench.faults.farm import GATEWAY, REPLICAS, Farm, Place, song

SONG_S = 60.0
"""Long enough that a replica is met at work: the tiny models write and render 10 s in a moment."""


@asynccontextmanager
async def real_farm(models: Path, folder: Path, first_port: int) -> AsyncIterator[Farm]:
    """Everything started, admitted and used once; nothing is left running. Needs 8 GB of memory."""
    gateway, stages = services(models, first_port, folder)
    found = dict(zip(REPLICAS, (*stages["lm"], *stages["dit"]), strict=True)) | {GATEWAY: gateway}
    told = {
        name: replace(
            service,
            environment={**service.environment, f"ACESTEP_{service.name.upper()}_LOG_FORMAT": "text"},
        )
        for name, service in found.items()
    }
    running = Farm(told, {name: Place() for name in told}, first_port + 3, SONG_S)
    try:
        for name in told:  # one at a time: each of two language models measures the memory that is free
            await running.start(name)
        await running.admitted(*REPLICAS)
        for seed in (1, 2):  # the first songs of each replica compile what later ones find
            await song(running, seed)
        yield running
    finally:
        await running.end()
