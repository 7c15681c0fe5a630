"""The LM service for half an hour with far too little memory: the tokens, the blocks, the rows, the memory.

    python -m bench.lm_soak --minutes 30

64 calls are in flight at a time through a real server: all modes, guided and not, constrained and not. The
tiny model, float32, on one thread of a CPU. More is admitted than the cache of keys and values holds, so
requests are preempted all the time; three of ten calls are cancelled or expire. Whatever ran to its end is
compared, token by token, with an explicit loop that has a cache for either row and runs in a process of its
own. Between rounds nothing may be held any more. Ends with 1 if a promise was broken.
"""

import argparse
import asyncio
import importlib
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import grpc
import torch
from prometheus_client import REGISTRY

from acestep.lm.v1 import lm_service_pb2_grpc
from bench.lm_load import IN_FLIGHT, Load, Observed, Referee, leaks
from bench.lm_mix import calls
from bench.memory import Series
from lm_service import vllm_environment, wire
from lm_service.admission import Admission, Room
from lm_service.engine import Job
from lm_service.grammar import Grammar
from lm_service.outline import Phase
from lm_service.settings import Settings
from lm_service.song import Jobs
from lm_service.vocabulary import Vocabulary, read_code_count
from model_store.tiny import LANGUAGE_MODEL, build
from tests.lm import reference
from tests.lm.stand import listening, service

DIFFERENT_CALLS = 120
ROUND_S = 60.0
SAMPLE_S = 5.0
MAX_MODEL_LEN = 512
BLOCK, BLOCKS = 32, 161
"""5120 tokens for requests that want about 15,000."""
ROWS = 96
TEXT_TOKENS = 150
FLAT_MIB_PER_MINUTE = 0.5


@cache
def _explicit_loop(models: Path) -> partial[list[int]]:
    os.nice(10)
    torch.set_num_threads(1)
    code_count = read_code_count(Settings(models=models).codec_config_path)
    grammar = Grammar(Vocabulary.load(models / LANGUAGE_MODEL), code_count)
    return partial(reference.written, reference.load(models / LANGUAGE_MODEL), grammar)


def written_by_the_loop(models: Path, job: Job) -> list[int]:
    """In a process of its own, so that its memory and its time are not the service's."""
    return _explicit_loop(models)(job)


@dataclass(slots=True)
class Report:
    """What was seen, and what must not be."""

    lines: list[str]
    broken: list[str]


async def watch(series: list[Series]) -> None:
    while True:
        for item in series:
            item.sample()
        await asyncio.sleep(SAMPLE_S)


async def soak(models: Path, minutes: float) -> Report:
    vllm_environment.prepare(cpu_threads=1)
    # Imported only now: vLLM reads its environment then.
    vllm_engine = importlib.import_module("lm_service.vllm_engine")
    settings = Settings(models=models, max_model_len=MAX_MODEL_LEN, max_rows=ROWS)
    engine = await vllm_engine.VllmEngine.load(
        settings, block_size=BLOCK, num_gpu_blocks_override=BLOCKS, max_num_batched_tokens=256
    )
    (process,) = multiprocessing.active_children()
    series = [Series("service and callers", os.getpid()), Series("engine", int(process.pid or 0))]
    admission = Admission(Room(ROWS, 4 * engine.cache_token_count), max_queued=IN_FLIGHT)
    pool = calls(DIFFERENT_CALLS, seed=1)
    plan = next(request for name, request in pool if name == "Plan")
    jobs = Jobs(engine.model, TEXT_TOKENS, settings.prompt_layout)
    idle = replace(jobs.plan(wire.plan(plan), wire.wish(plan, 1.0)), max_tokens=4)
    report = Report([], [])
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as loop:
        referee = Referee(
            lambda job: asyncio.get_running_loop().run_in_executor(loop, written_by_the_loop, models, job)
        )
        observed = Observed(engine, referee)
        loaded = service(observed, admission, max_text_tokens=TEXT_TOKENS)
        async with listening(loaded) as address, grpc.aio.insecure_channel(address) as channel:
            load = Load(lm_service_pb2_grpc.LmServiceStub(channel), pool, seed=2)
            watching, started = asyncio.create_task(watch(series)), time.monotonic()
            while (left_s := 60 * minutes - (time.monotonic() - started)) > 0:
                await load.run(min(ROUND_S, left_s))
                held = await leaks(engine, admission, idle)
                report.broken += held
                print(
                    f"{(time.monotonic() - started) / 60:5.1f} min: {dict(load.outcomes)},"
                    f" {engine.preemption_count()} preemptions, {referee.compared.total()} compared,"
                    f" {len(referee.differing)} differ, {', '.join(held) or 'nothing held'},"
                    f" {' + '.join(f'{item.samples[-1][1]:.0f}' for item in series)} MiB",
                    flush=True,
                )
            watching.cancel()
        await referee.decided()
    _conclude(report, referee, load, engine.preemption_count(), series)
    engine.close()
    return report


def _conclude(report: Report, referee: Referee, load: Load, preempted: int, series: list[Series]) -> None:
    aborts = sum(
        REGISTRY.get_sample_value("acestep_lm_aborts_total", {"phase": phase.value}) or 0 for phase in Phase
    )
    report.lines += [
        f"calls: {dict(load.outcomes)}",
        f"aborts that the service counted: {aborts:.0f}; preemptions: {preempted}",
        f"as in the explicit loop: {referee.compared.total()} requests of {referee.token_count} tokens,"
        f" {referee.job_count} different ones; {len(referee.differing)} differ",
        *(f"    {kind}: {count}" for kind, count in sorted(referee.compared.items())),
        *(item.summary() for item in series),
    ]
    report.broken += referee.differing
    odd = load.outcomes.keys() - {"ended", "cancelled", "expired"}
    report.broken += [f"{load.outcomes[reason]} calls failed: {reason}" for reason in sorted(odd)]
    for name, count in (("preemption", preempted), ("abort", aborts), ("comparison", referee.job_count)):
        if not count:
            report.broken.append(f"not one {name}: this run shows nothing")
    for item in series:
        if item.slope() > FLAT_MIB_PER_MINUTE:
            report.broken.append(f"the memory of {item.name} grows by {item.slope():.2f} MiB a minute")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        report = asyncio.run(soak(Path(folder), minutes))
    print("\n".join(report.lines))
    for line in report.broken:
        print(f"BROKEN: {line}")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
