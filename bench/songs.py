"""Songs from text through all three services: one at a time, by stage, then as many a second as can be.

    python -m bench.songs --gpus 0 1              random weights of the released 0.6B and 2B dimensions
    python -m bench.songs --models models/tiny --duration 30 --at-once 8 --seconds 60

The gateway, the language model on the first GPU and the diffusion on the second, each in a process of its
own, as they are started for users, and the client. Every song is planned, its duration given, written as
codes, rendered and encoded as FLAC. "Waited" is until the client has the last byte of it; a stage's time is
its engine's, waiting left out.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from acestep.client import Client, connect
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from acestep_serve.child import Service
from acestep_serve.system import Ports, System
from bench.rolling import running

DIT = "acestep-v15-turbo"
LM_STAGES, AUDIO_STAGES = ("plan", "codes"), ("conditioning", "diffusion", "decoding")
LINES = ("lm_queue", "dit_queue")
PATIENCE_S = 600.0
TELL_EVERY_S = 5.0
ARRIVE_WITHIN_S = 10.0
"""The first songs begin spread over so long: all at one moment would go on as one crowd."""
KV_CACHE_GIB_PER_SONG = 0.5
"""Two rows of 1,200 codes and a prompt, at 115 kB a token, are 0.4."""


Took = dict[str, float]
"""Seconds of one song by what they went into, as the gateway and the stages tell it; "waited" is all, and
"size" the file's megabytes."""

COLUMNS = {
    **{name: (name,) for name in (*LM_STAGES, *AUDIO_STAGES)},
    "audio stages": AUDIO_STAGES,
    "both stages": (*LM_STAGES, *AUDIO_STAGES),
    "in line": LINES,
    "FLAC": ("encoding",),
    "waited": ("waited",),
    "MB": ("size",),
}
"""What is added up; of each sum the median is shown."""

HEADER = "| songs at a time | " + " | ".join(COLUMNS) + " |\n" + "| ---: " * (1 + len(COLUMNS)) + "|"


def services(models: Path, gpus: Sequence[str], at_once: int, first_port: int, logs: Path) -> list[Service]:
    """The stages and then the gateway; on `gpus` if there are any."""
    ports = Ports(first_port, first_port + 1, first_port + 2, 0)
    door, dit, lm = System(models, "cuda" if gpus else "cpu", ports, logs, (DIT,)).services()
    more = {"ACESTEP_LM_MAX_ROWS": str(2 * at_once)}
    if gpus:
        more["ACESTEP_LM_KV_CACHE_GIB"] = str(max(4.0, KV_CACHE_GIB_PER_SONG * at_once))
        dit = replace(dit, environment={**dit.environment, "CUDA_VISIBLE_DEVICES": gpus[-1]})
        more["CUDA_VISIBLE_DEVICES"] = gpus[0]
    return [dit, replace(lm, environment={**lm.environment, **more}), door]


def write_models(folder: Path) -> None:
    """Random weights, made on the GPU by a process that leaves it to the services."""
    process = multiprocessing.get_context("spawn").Process(target=_write_models, args=(folder,))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"writing random weights ended with exit code {process.exitcode}")


def _write_models(folder: Path) -> None:
    import torch  # noqa: PLC0415 - a machine with models needs neither these nor a GPU

    from bench import dit_checkpoint, lm_checkpoint  # noqa: PLC0415

    lm_checkpoint.write(folder / "acestep-5Hz-lm-0.6B", lm_checkpoint.RELEASED)
    dit_checkpoint.write(folder, torch.device("cuda"))


async def song(client: Client, seed: int, duration_s: float) -> Took:
    """Songs share no words, so nothing of one is in the cache for another. Raises `RuntimeError`."""
    request = pb.GenerateMusicRequest(
        caption=f"{seed}: a slow song for piano and strings",
        lyrics=f"[Verse]\n{seed}, la la la\n" * 20,
        duration_seconds=duration_s,
        lm=pb.LmParams(thinking=True),
        batch=pb.BatchParams(seeds=[seed]),
        output=pb.OutputParams(audio_format=music_pb2.AUDIO_FORMAT_FLAC),
    )
    start, byte_count = time.perf_counter(), 0
    async for event in client.generate(request, timeout_s=PATIENCE_S):
        if event.HasField("audio"):
            byte_count += len(event.audio.data)
        elif event.HasField("song"):
            made, waited = event.song, time.perf_counter() - start
        elif event.HasField("result"):
            planned = event.result.timings["lm_phase1_time"]
    if made.HasField("error") or made.actual_duration_seconds != duration_s:
        raise RuntimeError(f"not the song that was asked for: {made.error.message}")
    own = {"plan": planned, "codes": made.timings["lm_phase2"], "waited": waited, "size": byte_count / 1e6}
    return {**made.timings, **own}


def middle(songs: Sequence[Took], names: Sequence[str]) -> float:
    return statistics.median(sum(took.get(name, 0.0) for name in names) for took in songs)


def row(name: str, songs: Sequence[Took]) -> str:
    cells = (f"{middle(songs, names):.2f}" for names in COLUMNS.values())
    return f"| {name} | {' | '.join(cells)} |"


async def alone(client: Client, duration_s: float, count: int) -> None:
    """Print how long `count` songs take, one after the other."""
    print(f"Seconds of a song of {duration_s:g} s, median of {count}:\n")
    print(HEADER)
    took = [await song(client, seed, duration_s) for seed in range(count)]
    print(row("1", took), flush=True)


async def sustained(
    client: Client, duration_s: float, at_once: int, seconds: float, pids: Mapping[str, int]
) -> None:
    """Print how many songs a second end while `at_once` are always on their way."""
    done = list[tuple[float, Took]]()

    async def make(place: int) -> None:
        await asyncio.sleep(place / at_once * ARRIVE_WITHIN_S)
        seed = 1_000_000 * (1_000 * at_once + place)
        while True:
            took = await song(client, seed, duration_s)
            done.append((time.perf_counter(), took))
            seed += 1

    async with asyncio.TaskGroup() as group:
        makers = [group.create_task(make(place)) for place in range(at_once)]
        while len(done) < at_once:  # the first find the services idle
            await asyncio.sleep(0.1)
        since, spent = time.perf_counter(), cpu_seconds(pids)
        while (left_s := since + seconds - time.perf_counter()) > 0:
            await asyncio.sleep(min(left_s, TELL_EVERY_S))
            print(f"{len(done)} songs, {time.perf_counter() - since:.0f} s", file=sys.stderr, flush=True)
        until, after = time.perf_counter(), cpu_seconds(pids)
        for maker in makers:
            maker.cancel()
    counted = [took for at, took in done if since <= at < until]
    print(f"\n{HEADER}\n{row(str(at_once), counted)}")
    rate = len(counted) / (until - since)
    print(
        f"\n{len(counted)} songs in {until - since:.1f} s: **{rate:.2f} songs per second** sustained,",
        end=" ",
    )
    print(f"{rate * duration_s:.0f} s of music a second.\n")
    for name in LINES:
        print(f"Waited in {name}: {middle(counted, (name,)):.2f} s")
    for name, used in after.items():
        print(f"Cores that {name} used: {(used - spent[name]) / (until - since):.2f}")


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Of each service and what it has started, since its start, and of this client."""

    def used(process: psutil.Process) -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    roots = {name: psutil.Process(pid) for name, pid in pids.items()}
    spent = {
        name: sum(used(process) for process in (root, *root.children(recursive=True)))
        for name, root in roots.items()
    }
    return {**spent, "the client": used(psutil.Process())}


async def measured(options: argparse.Namespace, models: Path, logs: Path) -> None:
    found = services(models, options.gpus, max(options.at_once), options.first_port, logs)
    start = time.perf_counter()
    async with running(found) as children, connect(found[-1].address) as client:
        print(f"ready after {time.perf_counter() - start:.0f} s", flush=True)
        await song(client, 1_000, options.duration)  # what is made at the first use
        await alone(client, options.duration, options.songs)
        pids = {service.name: children[service.address].pid for service in found}
        for at_once in options.at_once:
            await sustained(client, options.duration, at_once, options.seconds, pids)


def main(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        logs = options.logs or Path(folder, "logs")
        logs.mkdir(parents=True, exist_ok=True)
        models = options.models or Path(folder, "models")
        if options.models is None:
            write_models(models)
        asyncio.run(measured(options, models, logs))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", type=Path, help="folder of models; none: random ones, written on a GPU")
    parser.add_argument(
        "--gpus", nargs="+", default=[], help="of the language model and of the diffusion; none: a CPU"
    )
    parser.add_argument("--duration", type=float, default=240.0, help="seconds of a song")
    parser.add_argument("--songs", type=int, default=7, help="songs, one at a time")
    parser.add_argument(
        "--at-once", type=int, nargs="+", default=[36], help="songs on their way, for a rate each"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the rate is measured")
    parser.add_argument("--first-port", type=int, default=52_300, help="of three")
    parser.add_argument("--logs", type=Path, help="where the services' logs are kept; none: nowhere")
    main(parser.parse_args())
