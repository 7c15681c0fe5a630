"""How long the language model takes for a song of four minutes, from text to its last code, over gRPC.

    python -m bench.lm_song --device cuda

The service as it is deployed, in a process of its own, with random weights of the released 0.6B dimensions
(on a CPU: few layers). A song is planned (`Plan`, its duration given), then written (`GenerateCodes`,
guided): one after the other, and several at a time. Songs share no words, so nothing is in the cache.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from acestep.lm.v1 import lm_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2_grpc
from acestep.music.v1.music_pb2 import LmSampling, SongMetadata
from bench.lm_checkpoint import RELEASED, SMALL, write
from common.music import CODE_RATE_HZ

DURATION_S = {"cpu": 10.0, "cuda": 240.0}
CROWDS = (1, 8)
REPEATS = 3
READY_S = 240.0


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of one song."""

    plan: float
    first_codes: float
    """From the call for codes to the first of them, which come 16 at a time."""
    codes: float
    plan_tokens: int
    code_count: int


COLUMNS: dict[str, Callable[[Took], float]] = {
    "plan, s": lambda took: took.plan,
    "tokens of it": lambda took: took.plan_tokens,
    "first codes, s": lambda took: took.first_codes,
    "codes, s": lambda took: took.codes,
    "ms per code": lambda took: 1000 * took.codes / took.code_count,
    "plan and codes, s": lambda took: took.plan + took.codes,
}
"""Of each the median is shown."""


@contextmanager
def service(folder: Path, device: str, port: int, songs: int) -> Iterator[str]:
    """The address of a service of its own that may still be loading, with room for `songs` at a time."""
    write(folder / "acestep-5Hz-lm-random", RELEASED if device == "cuda" else SMALL)
    codec = folder / "acestep-v15-turbo" / "config.json"
    codec.parent.mkdir()
    codec.write_text(json.dumps({"fsq_input_levels": [8, 8, 8, 5, 5, 5]}))
    address = f"localhost:{port}"
    settings = {
        "MODELS": str(folder),
        "ADDRESS": address,
        "METRICS_PORT": "0",
        "DEVICE": device,
        "KV_CACHE_GIB": str(max(4, songs / 2)) if device == "cuda" else "1",
        "MAX_ROWS": str(max(16, 2 * songs)),
        "LOG_FORMAT": "text",
    }
    command = ["env", *(f"ACESTEP_LM_{name}={value}" for name, value in settings.items())]
    process = subprocess.Popen([*command, sys.executable, "-m", "lm_service"], stdout=sys.stderr)
    try:
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()


async def song(lm: lm_service_pb2_grpc.LmServiceStub, name: str, duration_s: float) -> Took:
    caption, lyrics = f"{name}: a slow song for piano and strings", f"[Verse]\n{name}, la la la\n" * 20
    start = time.perf_counter()
    request = pb.PlanRequest(
        caption=caption, lyrics=lyrics, fixed=SongMetadata(duration_seconds=duration_s)
    )
    async for event in lm.Plan(request):
        plan = event.result
    planned = time.perf_counter()
    codes, first = list[int](), 0.0
    async for event in lm.GenerateCodes(
        pb.GenerateCodesRequest(
            caption=caption,
            lyrics=lyrics,
            metadata=plan.metadata,
            duration_seconds=duration_s,
            sampling=LmSampling(seed=zlib.crc32(name.encode())),
        )
    ):
        if event.WhichOneof("event") == "codes":
            first = first or time.perf_counter()
            codes += event.codes.codes
    assert len(codes) == int(CODE_RATE_HZ * duration_s)
    end = time.perf_counter()
    return Took(planned - start, first - planned, end - planned, plan.usage.output_token_count, len(codes))


async def ready(lm: lm_service_pb2_grpc.LmServiceStub) -> None:
    """Return when songs are made. Raises `grpc.aio.AioRpcError` if that takes too long."""
    start = time.perf_counter()
    while True:
        try:
            await song(lm, "warm-up", 10.0)
            break
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or time.perf_counter() - start > READY_S:
                raise
            await asyncio.sleep(0.5)
    print(f"first song written {time.perf_counter() - start:.1f} s after the start\n", flush=True)


async def measured(address: str, duration_s: float, crowds: Sequence[int]) -> None:
    """Prints a row of the table as soon as it is known."""
    async with grpc.aio.insecure_channel(address) as channel:
        lm = lm_service_pb2_grpc.LmServiceStub(channel)
        await ready(lm)
        print("| songs at a time | " + " | ".join(COLUMNS) + " |")
        print("| ---: " * (1 + len(COLUMNS)) + "|")
        for crowd in crowds:
            took = list[Took]()
            for turn in range(REPEATS):
                took += await asyncio.gather(
                    *(song(lm, f"song {crowd} {turn} {place}", duration_s) for place in range(crowd))
                )
            cells = (f"{statistics.median(map(value, took)):.2f}" for value in COLUMNS.values())
            print(f"| {crowd} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--port", type=int, default=50951, help="where the service listens meanwhile")
    parser.add_argument("--songs", type=int, nargs="+", default=CROWDS, help="songs at a time")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        service(Path(folder), given.device, given.port, max(given.songs)) as address,
    ):
        asyncio.run(measured(address, DURATION_S[given.device], given.songs))


if __name__ == "__main__":
    main()
