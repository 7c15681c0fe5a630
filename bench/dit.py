"""What a denoising step costs, beside diffusers' transformer with the same weights in the same run.

    python -m bench.dit                  the tiny model, float32, on a CPU
    python -m bench.dit --device cuda    the released 2B dimensions, bfloat16; needs a machine of its own

Random weights, conditions of 600 tokens. "ours" packs its rows and computes the velocity; what
hears a condition is there, as it is from a song's second step on. On a GPU also: the layers
compiled (`--compile`), and as a CUDA graph. On a CPU the times are those of the processor, of one
thread: neighbours disturb them less. The floor is the larger of what a step must compute over the
rate of a large matrix product, and of the weights it must read over the bandwidth of a copy.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import torch
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel

from bench.dit_graph import Captured
from bench.dit_networks import RELEASED, TINY, Song, flops, networks, peer_step, song, weight_bytes
from dit_service.network.transformer import DiffusionTransformer, Row

LENGTHS_S = {"cpu": (10.0, 30.0, 60.0), "cuda": (30.0, 120.0, 240.0)}
TOGETHER_S = {
    "cpu": ((5.0,) * 8, (10.0, 10.0, 30.0)),
    "cuda": ((30.0,) * 8, (30.0, 30.0, 120.0, 240.0)),
}
STEPS = 8
T = 0.7


class Bench:
    def __init__(self, device: torch.device, repeats: int) -> None:
        self.device = device
        self.repeats = repeats
        on_gpu = device.type == "cuda"
        self.sizes, self.dtype = (RELEASED, torch.bfloat16) if on_gpu else (TINY, torch.float32)
        self.ours: DiffusionTransformer
        self.peer: AceStepTransformer1DModel
        self.ours, self.peer = networks(self.sizes, device, self.dtype)
        self.flops_per_s, self.bytes_per_s = rates(device, self.dtype, self.ms)

    def song(self, seconds: float) -> Song:
        return song(seconds, self.sizes, self.device, self.dtype)

    def ms(self, work: Callable[[], object]) -> float:
        """Median over runs, the first of which are not counted."""
        clock = time.perf_counter if self.device.type == "cuda" else time.process_time
        spent = []
        for run in range(self.repeats + 2):
            self._settle()
            start = clock()
            work()
            self._settle()
            if run >= 2:
                spent.append(1e3 * (clock() - start))
        return statistics.median(spent)

    def floor_ms(self, lengths_s: tuple[float, ...], asked: tuple[bool, ...]) -> float:
        needed = sum(flops(self.sizes, *each) for each in zip(lengths_s, asked, strict=True))
        return 1e3 * max(needed / self.flops_per_s, weight_bytes(self.ours) / self.bytes_per_s)

    def _settle(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def rates(
    device: torch.device, dtype: torch.dtype, ms: Callable[[Callable[[], object]], float]
) -> tuple[float, float]:
    """Operations per second of a large matrix product, and bytes per second of a large copy."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    source = torch.ones((1 << 30) if device.type == "cuda" else (1 << 26), device=device)
    target = torch.empty_like(source)
    product_s, copy_s = ms(lambda: a @ b) / 1e3, ms(lambda: target.copy_(source)) / 1e3
    return 2 * size**3 / product_s, 2 * source.numel() * source.element_size() / copy_s


def repeated(step: Callable[[], object]) -> Callable[[], None]:
    """All steps of a song, so that a GPU is kept as busy as a render keeps it."""

    def steps() -> None:
        for _ in range(STEPS):
            step()

    return steps


def ways(bench: Bench, rows: list[Row]) -> dict[str, float]:
    """Milliseconds of eight steps for `rows`, by how they are computed. Compiling stays."""
    found = {"ours": bench.ms(repeated(lambda: bench.ours(rows)))}
    if bench.device.type != "cuda":
        return found
    packed = bench.ours.pack(rows)
    found["graph"] = bench.ms(repeated(Captured(bench.ours, packed).replay))
    return found


def alone(bench: Bench) -> Iterator[str]:
    for seconds, guided in product(LENGTHS_S[bench.device.type], (False, True)):
        each = bench.song(seconds)
        asked = (True, False) if guided else (True,)
        rows = [each.row(bench.ours, T, hears) for hears in asked]
        peer_ms = bench.ms(repeated(partial(peer_step, bench.peer, [each] * len(rows), T)))
        floor_ms = STEPS * bench.floor_ms((seconds,) * len(rows), asked)
        for way, ms in ways(bench, rows).items():
            name = f"{seconds:g} s" + ", guided" * guided
            yield line(name, way, peer_ms, ms, floor_ms)


def together(bench: Bench) -> Iterator[str]:
    for lengths_s in TOGETHER_S[bench.device.type]:
        rows = [bench.song(seconds).row(bench.ours, T) for seconds in lengths_s]
        by_length = {seconds: ways(bench, [row]) for seconds, row in zip(lengths_s, rows, strict=True)}
        floor_ms = STEPS * bench.floor_ms(lengths_s, (True,) * len(rows))
        for way, ms in ways(bench, rows).items():
            apart_ms = sum(by_length[seconds][way] for seconds in lengths_s)
            yield line(" + ".join(f"{seconds:g}" for seconds in lengths_s), way, apart_ms, ms, floor_ms)


def line(name: str, way: str, other_ms: float, ms: float, floor_ms: float) -> str:
    times = f"{other_ms / ms:.2f} | {floor_ms:.2f} | {floor_ms / ms:.2f}"
    return f"| {name} | {way} | {other_ms:.1f} | {ms:.1f} | {times} |"


def agreement(bench: Bench) -> str:
    """How far ours and diffusers' are from ours in float32 with the same weights, and from each other."""
    each = bench.song(LENGTHS_S[bench.device.type][1])
    mine = bench.ours([each.row(bench.ours, T)])[0].float()
    theirs = peer_step(bench.peer, [each], T)[0].float()
    exact, _ = networks(bench.sizes, bench.device, bench.dtype)
    exact.float()
    exact.prepare(torch.zeros(1, bench.sizes.condition_width, device=bench.device))
    wide = Song(each.seconds, each.latents.float(), each.context.float(), each.condition.float())
    truth = exact([wide.row(exact, T)])[0]
    far = [((one - truth).norm() / truth.norm()).item() for one in (mine, theirs)]
    largest = (mine - theirs).abs().max().item()
    return (
        f"Relative error against float32: ours {far[0]:.2e}, diffusers' {far[1]:.2e};"
        f" largest difference between the two {largest:.1e}."
    )


@torch.inference_mode()
def main(device: torch.device, repeats: int, compiled: bool) -> None:
    torch.set_num_threads(1)
    bench = Bench(device, repeats)
    where = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or "CPU"
    print(f"{where}, torch {torch.__version__}, {torch.get_num_threads()} CPU threads;", end=" ")
    print(f"{bench.flops_per_s / 1e12:.3g} TFLOP/s, {bench.bytes_per_s / 1e12:.3g} TB/s measured.\n")
    print(agreement(bench))
    for layers in ("as they are", "compiled")[: 1 + compiled]:
        if layers == "compiled":
            torch._dynamo.config.recompile_limit = 64  # every length is a shape of its own here
            for block in bench.ours.blocks:
                block.compile(dynamic=False)
        print(f"\nLayers {layers}, milliseconds for {STEPS} steps:\n")
        print("| song | way | diffusers | ours | times as fast | floor | floor / ours |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
        for row in alone(bench):
            print(row, flush=True)
        print("\n| songs | way | one by one | together | times as fast | floor | floor / together |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
        for row in together(bench):
            print(row, flush=True)
    if device.type == "cuda":
        print(
            f"\nMost memory: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB, both networks included."
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="also with torch.compile")
    options = parser.parse_args()
    main(options.device, options.repeats, options.compile)
