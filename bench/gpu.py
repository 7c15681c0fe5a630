"""What the audio stages cost on a GPU, as the service runs them, beside diffusers in the same run.

    python -m bench.gpu [--models FOLDER] [--lm]

Needs a GPU machine of its own, no network and no checkpoint: random weights of the released 2B dimensions,
bfloat16, are written to a folder. Songs are rendered by the service's engine, on its lane; "diffusers" is
its transformer and codec, called as its pipeline does. Floors are what must be computed over the rate of a
large matrix product, measured here. Also: a start with what was compiled before, and songs with 24 GB of
memory.
"""

import argparse
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderOobleck

from bench import dit_checkpoint, gpu_errors, ready
from bench.dit import rates
from bench.dit_checkpoint import BASE, TURBO
from bench.dit_networks import RELEASED, Song, flops, peer_network, peer_step, song
from bench.gpu_songs import job, rendered
from dit_service import compile_cache
from dit_service.torch_engine import TorchEngine

GPU = torch.device("cuda")
VAE_FLOPS_PER_S = 121.9e9
"""For a second of sound (spec dit.md 8)."""
CAP_GIB = 24e9 / 2**30
REPEATS = 4


@contextmanager
def products_by(library: str) -> Iterator[None]:
    """Matrix products are this library's: the service has cuBLASLt's, torch by itself cuBLAS's."""
    blas = torch.backends.cuda
    before = blas.preferred_blas_library()
    blas.preferred_blas_library(library)
    try:
        yield
    finally:
        blas.preferred_blas_library(before)


class Peers:
    """diffusers' transformer and codec."""

    def __init__(self) -> None:
        self.network = peer_network(RELEASED, GPU, torch.bfloat16)
        with GPU:
            self.codec = AutoencoderOobleck(**dit_checkpoint.VAE).to(torch.bfloat16).eval()

    def steps_ms(self, songs: list[Song], steps: int) -> float:
        measured = min(steps, 8)

        def run() -> None:
            for _ in range(measured):
                peer_step(self.network, songs, 0.7)

        with products_by("cublas"):
            return timed(run) * steps / measured

    def decode_ms(self, seconds: int) -> float:
        latents = torch.randn(1, 64, 25 * seconds, device=GPU, dtype=torch.bfloat16)
        return timed(lambda: self.codec.decode(latents).sample.float().cpu())


def timed(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median milliseconds, of runs of which the first is not counted."""
    spent = []
    for _ in range(repeats + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        spent.append(1e3 * (time.perf_counter() - start))
    return statistics.median(spent[1:])


@dataclass(frozen=True, slots=True)
class Work:
    """A row of the table: what it is, what must be computed, and how long each takes, in milliseconds."""

    name: str
    ours: Callable[[TorchEngine], float]
    peer: Callable[[Peers], float] | None = None
    flops: float = 0.0


def songs_of(seconds: float, count: int) -> list[Song]:
    return [song(seconds, RELEASED, GPU, torch.bfloat16) for _ in range(count)]


def diffusion(engine: TorchEngine, seconds: float, model: str) -> float:
    return rendered(engine, [job(seconds, model)], REPEATS if model == TURBO else 1).diffusion


def passes(engine: TorchEngine, seconds: float, count: int) -> float:
    """Eight steps of songs together."""
    network = engine.transformer(TURBO)
    rows = [each.row(network, 0.7) for each in songs_of(seconds, count)]

    def run() -> None:
        for _ in range(8):
            network(rows)

    return timed(run, REPEATS + 1)


def decoding(engine: TorchEngine, seconds: int) -> float:
    latents = torch.randn(1, 25 * seconds, RELEASED.channels, device=GPU)
    return timed(lambda: list(engine.codec.decode(latents)))


def whole(engine: TorchEngine, seconds: float, count: int = 1) -> float:
    return rendered(engine, [job(seconds)] * count, REPEATS).whole


def conditioning(engine: TorchEngine) -> float:
    return rendered(engine, [job(240.0)], REPEATS).conditioning


def first_sound(engine: TorchEngine) -> float:
    return rendered(engine, [job(240.0)], REPEATS).first_sound


def diffusion_works() -> list[Work]:
    works = []
    for seconds in (30.0, 120.0, 240.0, 600.0):
        works.append(
            Work(
                f"DiT, {seconds:g} s song, 8 steps",
                partial(diffusion, seconds=seconds, model=TURBO),
                partial(Peers.steps_ms, songs=songs_of(seconds, 1), steps=8),
                8 * flops(RELEASED, seconds),
            )
        )
    guided = flops(RELEASED, 240.0) + flops(RELEASED, 240.0, asked=False)
    return [
        *works,
        Work(
            "DiT, eight 30 s songs together, passes alone",
            partial(passes, seconds=30.0, count=8),
            partial(Peers.steps_ms, songs=songs_of(30.0, 8), steps=8),
            8 * 8 * flops(RELEASED, 30.0),
        ),
        Work(
            "DiT base, 240 s song, 50 steps with APG",
            partial(diffusion, seconds=240.0, model=BASE),
            partial(Peers.steps_ms, songs=songs_of(240.0, 2), steps=50),
            50 * guided,
        ),
    ]


def works() -> list[Work]:
    codec = [
        Work(
            f"VAE decode, {seconds} s",
            partial(decoding, seconds=seconds),
            partial(Peers.decode_ms, seconds=seconds),
            VAE_FLOPS_PER_S * seconds,
        )
        for seconds in (30, 120, 240)
    ]
    return [
        *diffusion_works(),
        *codec,
        Work("conditioning", conditioning),
        Work("first sound after the last step, 240 s song", first_sound),
        Work("audio stages, 30 s song", partial(whole, seconds=30.0)),
        Work("audio stages, 240 s song", partial(whole, seconds=240.0)),
        Work("audio stages, 600 s song", partial(whole, seconds=600.0)),
        Work("audio stages, eight 30 s songs", partial(whole, seconds=30.0, count=8)),
        Work("audio stages, four 240 s songs", partial(whole, seconds=240.0, count=4)),
    ]


def table(engine: TorchEngine, flops_per_s: float) -> None:
    rows, before = works(), torch.cuda.memory_allocated()
    other = Peers()
    peers_bytes = torch.cuda.memory_allocated() - before
    print("| work | diffusers, ms | ours, ms | times as fast | floor, ms | ours / floor | ours, GiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for work in rows:
        torch.cuda.reset_peak_memory_stats()
        ms = work.ours(engine)
        most = (torch.cuda.max_memory_allocated() - peers_bytes) / 2**30
        peer = None if work.peer is None else work.peer(other)
        floor = 1e3 * work.flops / flops_per_s
        cells = [
            work.name,
            *(["", f"{ms:.1f}", ""] if peer is None else [f"{peer:.0f}", f"{ms:.1f}", f"{peer / ms:.1f}"]),
        ]
        cells += [f"{floor:.1f}", f"{ms / floor:.2f}"] if floor else ["", ""]
        cells.append(f"{most:.1f}")
        print("| " + " | ".join(cells) + " |", flush=True)


def capped(models: Path) -> None:
    """With 24 GB: 600 s alone, and as many songs at once as are let in."""
    total = torch.cuda.get_device_properties(GPU).total_memory
    torch.cuda.set_per_process_memory_fraction(CAP_GIB * 2**30 / total)
    engine = TorchEngine.load(
        models, (TURBO,), "cuda", compiled=True, song_memory=int(12e9), model_memory=int(CAP_GIB * 2**30)
    )
    for name, jobs in (
        ("30 s", [job(30.0)]),
        ("120 s", [job(120.0)]),
        ("240 s", [job(240.0)]),
        ("600 s", [job(600.0)]),
        ("eight of 30 s", [job(30.0)] * 8),
        ("four of 240 s", [job(240.0)] * 4),
    ):
        told = rendered(engine, jobs, 1)
        reserved = torch.cuda.memory_reserved() / 2**30
        print(
            f"24 GB, {name}: {told.whole:.0f} ms, {told.gib:.1f} GiB, {reserved:.1f} reserved", flush=True
        )


@torch.inference_mode()
def main(models: Path, with_lm: bool) -> None:
    began = time.perf_counter()
    compile_cache.keep_in(models / "compiled")
    if not (models / TURBO).is_dir():
        dit_checkpoint.write(models, GPU)
        torch.cuda.empty_cache()
    flops_per_s, bytes_per_s = rates(GPU, torch.bfloat16, timed)
    torch.cuda.empty_cache()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__};", end=" ")
    print(f"{flops_per_s / 1e12:.3g} TFLOP/s, {bytes_per_s / 1e12:.3g} TB/s measured.")
    attempted(lambda: with_all_memory(models, flops_per_s))
    torch.cuda.empty_cache()
    print(flush=True)
    subprocess.run([sys.executable, "-m", "bench.gpu", "--models", str(models), "--capped"], check=False)
    attempted(lambda: print(f"\nWarm start to READY: {ready.seconds(models):.1f} s.", flush=True))
    if with_lm:
        print("\nThe language model:\n", flush=True)
        # Without what `dit_service` told torch here: the language model's service knows nothing of it.
        plain = ["env", "-u", "TORCH_BLAS_PREFER_CUBLASLT", sys.executable]
        subprocess.run([*plain, "-m", "bench.lm", "--device", "cuda"], check=False)
    print(f"\nAll of this took {time.perf_counter() - began:.0f} s.", flush=True)


def with_all_memory(models: Path, flops_per_s: float) -> None:
    start = time.perf_counter()
    engine = TorchEngine.load(models, (TURBO, BASE), "cuda", compiled=True)
    print(f"Loaded and compiled in {time.perf_counter() - start:.1f} s.\n", flush=True)
    attempted(lambda: table(engine, flops_per_s))
    print("\nError against float32:", flush=True)
    for error in (gpu_errors.velocities, gpu_errors.condition, gpu_errors.sound):
        attempted(partial(error, engine, models))


def attempted(part: Callable[[], None]) -> None:
    """What fails is told, and the other parts are measured all the same."""
    try:
        part()
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        print(f"Failed: {traceback.format_exc().splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("/tmp/acestep-bench"))
    parser.add_argument("--lm", action="store_true", help="also the table of bench.lm, which needs vLLM")
    parser.add_argument("--capped", action="store_true", help="only the songs with 24 GB")
    options = parser.parse_args()
    with products_by("cublaslt"):
        if options.capped:
            compile_cache.keep_in(options.models / "compiled")
            capped(options.models)
        else:
            main(options.models, options.lm)
