"""What holds for every request: it is made, or refused with a status that names what is wrong.

    python -m tests.gateway.properties 10000

runs so many requests at random against the real gateway, over the real servicers of both stages.
"""

import asyncio
import math
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Generate

from acestep.client import Client
from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.songs import SongCollector
from dit_service.canvas import SAMPLES_PER_FRAME
from dit_service.engine import Phase, Song
from tests.dit.fakes import FakeEngine as FakeDitEngine
from tests.gateway.random_requests import CASES, Case
from tests.gateway.whole import GRAMMAR, whole
from tests.lm.fakes import FakeEngine as FakeLmEngine

NO_HANG_S = 300.0
"""What takes longer hangs. Far above what a request takes, as the machine may be busy with other work:
all of the system is this one process, and when it stands still for a minute, all its clocks go on."""

TELL_EVERY = 1000
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNIMPLEMENTED,
}


class QuietEngine(FakeDitEngine):
    """Renders silence: noise takes long to draw and to compress."""

    def _song(self, frames: int, seed: int) -> Song:
        sound = np.zeros((frames * SAMPLES_PER_FRAME, 2), np.float32)
        return Song(sound, np.ones((frames, 8), np.float32), dict.fromkeys(Phase, 0.5))


async def outcome(client: Client, case: Case) -> str:
    """What became of `case`; raises `AssertionError` if that must not be."""
    collector, last = SongCollector(), pb.GenerateMusicResponse()
    try:
        async for event in client.generate(case.request, timeout_s=NO_HANG_S):
            collector.add(event)
            last = event
    except ServiceError as error:
        check_refusal(case, error)
        return error.code.name
    assert not case.bad, f"{sorted(case.bad)} went unnoticed"
    assert last.HasField("result"), "the stream ended without a result"
    assert last.result.succeeded_count == len(collector.files) == max(1, case.request.batch.batch_size)
    assert all(file.data for file in collector.files)
    return "OK"


def check_refusal(case: Case, error: ServiceError) -> None:
    assert case.bad != frozenset(), f"a good request was refused: {error.message}"
    assert error.code in REFUSALS, f"{error.code}: {error.message}"
    named = {violation.field for violation in error.violations} or {error.facts.get("field", "")}
    for field in named:
        assert exists(field), f"{field!r} is no field of a request: {error.message}"
    if case.bad:
        plain = {re.sub(r"\[\d+\]", "", field) for field in named}
        assert plain & case.bad, f"{sorted(plain)} were named, {sorted(case.bad)} are bad"


def exists(path: str) -> bool:
    """Whether `path`, such as `batch.seeds[0]`, is that of a field of `GenerateMusicRequest`."""
    descriptor: Any = pb.GenerateMusicRequest.DESCRIPTOR
    for name in re.sub(r"\[\d+\]", "", path).split("."):
        if descriptor is None or name not in descriptor.fields_by_name:
            return False
        descriptor = descriptor.fields_by_name[name].message_type
    return True


async def outcomes(client: Client, cases: Sequence[Case]) -> list[str]:
    """Of requests that are made at the same time."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outcome(client, case)) for case in cases]
    return [task.result() for task in tasks]


def main(request_count: int) -> None:
    counts: Counter[str] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        stack = AsyncExitStack()
        client = runner.run(
            stack.enter_async_context(
                whole(Path(folder), FakeLmEngine(grammar=GRAMMAR), QuietEngine(), patience_s=NO_HANG_S)
            )
        )

        @settings(
            max_examples=math.ceil(request_count / 8),
            deadline=None,
            database=None,
            phases=(Generate.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(CASES)
        def hold(cases: list[Case]) -> None:
            counts.update(runner.run(outcomes(client, cases)))
            if counts.total() % TELL_EVERY == 0:
                tell(counts, began)

        try:
            hold()
        finally:
            tell(counts, began)
            runner.run(stack.aclose())


def tell(counts: Counter[str], began: float) -> None:
    told = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    sys.stdout.write(f"{counts.total()} requests in {time.monotonic() - began:.0f} s: {told}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
