"""What the gateway costs: many requests at once, and one song beside direct calls to the two services.

    python -m bench.gateway                          stand-in engines
    python -m bench.gateway --models models/tiny     the three services as they are started for users

The gateway and the stages each run in a process of their own. Stand-in engines (`tests/lm/fakes.py`,
and silence for the diffusion) leave nearly all the time to the gateway and the wire; with models it
is what a user waits. Prints whether any request was lost, what the gateway's memory did, whether
positions were fair, and the cost of a song in seconds and bytes.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc

from acestep.client import Client, connect
from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from acestep.music.v1 import music_pb2
from acestep_serve.system import Ports, System, choose_dits
from bench.memory import resident_mib
from bench.rolling import running
from gateway.request import LM_DEFAULTS
from gateway.uploads import Uploads
from tests.gateway.conftest import gateway_over
from tests.gateway.properties import QuietEngine
from tests.gateway.whole import GRAMMAR, serving_engines
from tests.lm.fakes import FakeEngine

SONG_S = 10.0
MIB = 1024 * 1024
SAMPLE_EVERY_S = 0.1
GIVEN: dict[str, Any] = {
    "bpm": 100,
    "keyscale": "C major",
    "timesignature": "4",
    "duration_seconds": SONG_S,
}
CAPTION = "slow piano"
DIFFUSION = music_pb2.DiffusionParams(inference_steps=2)
PATIENCE_S = 3000.0


@dataclass(frozen=True, slots=True)
class Rig:
    """What is measured."""

    address: str
    gateway_pid: int
    lm_address: str
    dit_address: str


@dataclass(slots=True)
class Story:
    """What one request saw."""

    places: dict[pb.Stage, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Its places in the line of each stage, as they were told."""
    finished_at: float = 0.0
    byte_count: int = 0
    complete: bool = False


def stages(ready: Connection) -> None:
    """The two stages, until the process is ended."""

    async def run() -> None:
        async with serving_engines(FakeEngine(grammar=GRAMMAR), QuietEngine()) as ports:
            ready.send(ports)
            await asyncio.Event().wait()

    asyncio.run(run())


def gateway(ready: Connection, lm_port: int, dit_port: int, kept_mib: int) -> None:
    """The gateway, until the process is ended."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            uploads = Uploads(Path(folder), MIB, MIB, 60.0)
            async with gateway_over([lm_port], [dit_port], uploads, kept_bytes=kept_mib * MIB) as address:
                ready.send(address)
                await asyncio.Event().wait()

    asyncio.run(run())


@asynccontextmanager
async def stand_ins(kept_mib: int) -> AsyncIterator[Rig]:
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    stage_process = processes.Process(target=stages, args=(there,), daemon=True)
    stage_process.start()
    lm_port, dit_port = await asyncio.to_thread(here.recv)
    gateway_process = processes.Process(
        target=gateway, args=(there, lm_port, dit_port, kept_mib), daemon=True
    )
    gateway_process.start()
    address = await asyncio.to_thread(here.recv)
    try:
        yield Rig(
            address, gateway_process.pid or os.getpid(), f"localhost:{lm_port}", f"localhost:{dit_port}"
        )
    finally:
        for process in (gateway_process, stage_process):
            process.terminate()
            process.join()


@asynccontextmanager
async def real_services(models: Path, first_port: int, kept_mib: int) -> AsyncIterator[Rig]:
    with tempfile.TemporaryDirectory() as folder:
        ports = Ports(first_port, first_port + 1, first_port + 2, first_port + 3)
        door, dit, lm = System(models, "cpu", ports, Path(folder), choose_dits(models, ())).services()
        kept = {"ACESTEP_GATEWAY_KEPT_BYTES": str(kept_mib * MIB)}
        door = replace(door, environment={**door.environment, **kept})
        async with running([dit, lm, door]) as children:
            yield Rig(door.address, children[door.address].pid, lm.address, dit.address)


def request(seed: int) -> pb.GenerateMusicRequest:
    return pb.GenerateMusicRequest(
        caption=CAPTION,
        diffusion=DIFFUSION,
        batch=pb.BatchParams(seeds=[seed]),
        output=pb.OutputParams(audio_format=music_pb2.AUDIO_FORMAT_WAV32),
        **GIVEN,
    )


async def told(client: Client, seed: int) -> Story:
    story = Story()
    async for event in client.generate(request(seed), timeout_s=PATIENCE_S):
        story.byte_count += event.ByteSize()
        if event.HasField("queued"):
            story.places[event.queued.stage].append(event.queued.status.position)
        story.complete = event.HasField("result")
    story.finished_at = time.monotonic()
    return story


async def directly(lm: lm_rpc.LmServiceStub, dit: dit_rpc.DitServiceStub, seed: int) -> int:
    """The same song from the two services, without a gateway; the bytes received."""
    sampling = music_pb2.LmSampling(seed=seed, top_p=0.9)
    metadata = music_pb2.SongMetadata(**GIVEN)
    codes: list[int] = []
    byte_count = 0
    asked = lm_pb.GenerateCodesRequest(
        caption=CAPTION,
        metadata=metadata,
        sampling=sampling,
        duration_seconds=SONG_S,
        cfg_scale=LM_DEFAULTS.cfg_scale,
        negative_prompt=LM_DEFAULTS.negative_prompt,
    )
    async for written in lm.GenerateCodes(asked):
        byte_count += written.ByteSize()
        codes.extend(written.codes.codes)
    job = dit_pb.RenderJob(metadata=metadata, audio_codes=codes, seed=seed, diffusion=DIFFUSION)
    job.metadata.caption = CAPTION

    async def requests() -> AsyncIterator[dit_pb.RenderRequest]:
        yield dit_pb.RenderRequest(job=job)

    async for rendered in dit.Render(requests()):
        byte_count += rendered.ByteSize()
    return byte_count


async def seconds_each(make: Callable[[int], Awaitable[object]], rounds: int) -> float:
    """Median of songs made one after the other."""
    seconds = []
    for seed in range(rounds):
        began = time.monotonic()
        await make(seed)
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


@asynccontextmanager
async def memory_of(pid: int) -> AsyncIterator[list[float]]:
    """The MiB that a process has in memory, sampled while the block runs."""
    samples: list[float] = []

    async def sample() -> None:
        while True:
            samples.append(resident_mib(pid))
            await asyncio.sleep(SAMPLE_EVERY_S)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()


async def crowd(client: Client, pid: int, count: int, first_seed: int) -> None:
    """Print what became of `count` requests that are sent at once."""
    async with memory_of(pid) as samples:
        began = time.monotonic()
        stories = await asyncio.gather(*(told(client, first_seed + place) for place in range(count)))
        seconds = time.monotonic() - began
    arrived = sum(story.complete for story in stories)
    rose = sum(
        later > earlier
        for story in stories
        for places in story.places.values()
        for earlier, later in pairwise(places)
    )
    in_order = sorted(range(count), key=lambda place: stories[place].finished_at)
    moved = statistics.mean(abs(place - rank) for rank, place in enumerate(in_order))
    print(
        f"| {count} | {arrived} | {seconds:.1f} s | {samples[0]:.0f} |"
        f" {max(samples):.0f} | {samples[-1]:.0f} | {rose} | {moved:.1f} |",
        flush=True,
    )


async def alone(client: Client, rig: Rig, rounds: int) -> None:
    """Print the cost of one song, through the gateway and without it."""
    async with (
        grpc.aio.insecure_channel(rig.lm_address) as lm_channel,
        grpc.aio.insecure_channel(rig.dit_address) as dit_channel,
    ):
        lm, dit = lm_rpc.LmServiceStub(lm_channel), dit_rpc.DitServiceStub(dit_channel)
        direct_bytes = await directly(lm, dit, 0)
        direct_s = await seconds_each(lambda seed: directly(lm, dit, seed), rounds)
    through_bytes = (await told(client, 0)).byte_count
    through_s = await seconds_each(lambda seed: told(client, seed), rounds)
    print("\n| song of 10 s | directly | through the gateway | ratio |")
    print("| --- | ---: | ---: | ---: |")
    times = f"{direct_s * 1000:.0f} | {through_s * 1000:.0f} | {through_s / direct_s:.2f}"
    print(f"| milliseconds, median | {times} |")
    print(f"| bytes | {direct_bytes} | {through_bytes} | {through_bytes / direct_bytes:.3f} |")


async def main(options: argparse.Namespace) -> None:
    chosen = (
        stand_ins(options.kept_mib)
        if options.models is None
        else real_services(options.models, options.first_port, options.kept_mib)
    )
    async with chosen as rig, connect(rig.address) as client:
        await told(client, 0)
        await alone(client, rig, options.songs)
        print("\n| requests | arrived | in | MiB before | at most | MiB after | places that rose | moved |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for turn in range(options.rounds):
            await crowd(client, rig.gateway_pid, options.requests, first_seed=1000 * turn)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, help="folder of models; none: stand-in engines")
    parser.add_argument("--first-port", type=int, default=52500, help="of four, for services with models")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="crowds, one after the other")
    parser.add_argument("--songs", type=int, default=20, help="songs, for the cost of one")
    parser.add_argument(
        "--kept-mib", type=int, default=64, help="what the gateway keeps of results, for repeated requests"
    )
    asyncio.run(main(parser.parse_args()))
