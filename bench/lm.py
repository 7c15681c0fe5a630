"""What guidance and the grammar cost per step, beside stock vLLM at the same number of rows.

    python -m bench.lm --device cuda

Needs a machine of its own, no network and no checkpoint: random weights of the released 0.6B
dimensions (on a CPU: few layers) under the released vocabulary of 217,204 tokens. Sampled, temperature
0.85, top-p 0.9, scale 2. "stock" is vLLM on the same model runner as ours, "newest" its newer runner, which
has no place for our processor (CUDA only). On a GPU all of them plan a step while the last is computed.
"guided" writes free text over the whole vocabulary, "guided, codes" audio codes, the service's main work.
The floor is what a step must read, weights and cached keys and values, over the measured bandwidth.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from bench.lm_checkpoint import RELEASED, SMALL, VOCABULARY, Size, write

PAIRS = (1, 8, 32)
STEPS = {"cpu": 8, "cuda": 128}
REPEATS = {"cpu": 1, "cuda": 5}
CONTEXT = 200
"""Tokens of a row in the middle of the measured steps, about."""

ENVIRONMENT = (
    *("VLLM_ENABLE_V1_MULTIPROCESSING=0", "VLLM_NO_USAGE_STATS=1", "HF_HUB_OFFLINE=1"),
    *("OMP_NUM_THREADS=1", "VLLM_CPU_OMP_THREADS_BIND=nobind"),
)

Found = dict[str, dict[str, float]]


def measure(kind: str, device: str, checkpoint: Path) -> Found:
    """What the engine of this kind needs, in milliseconds, by what it does and by pairs."""
    result = checkpoint.parent / f"{kind}.json"
    runner = () if kind == "newest" else ("VLLM_USE_V2_MODEL_RUNNER=0",)
    command = ["env", *ENVIRONMENT, *runner, sys.executable, "-m", "bench.lm_engine"]
    command += ["--kind", kind, "--device", device, "--checkpoint", str(checkpoint)]
    command += ["--result", str(result), "--pairs", *map(str, PAIRS)]
    command += ["--steps", str(STEPS[device]), "--repeats", str(REPEATS[device])]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=sys.stderr)
    print(f"{kind}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    found: Found = json.loads(result.read_text())
    return found


def bandwidth(device: str) -> float:
    """Bytes per second that a copy reads and writes."""
    source = torch.ones((1 if device == "cpu" else 8) << 28, dtype=torch.float32, device=device)
    target, best_s = torch.empty_like(source), float("inf")
    for _ in range(5):
        start = time.perf_counter()
        target.copy_(source)
        if device == "cuda":
            torch.cuda.synchronize()
        best_s = min(best_s, time.perf_counter() - start)
    return 2 * source.numel() * source.element_size() / best_s


def table(found: Found, size: Size, weight_bytes: int, bytes_per_s: float) -> list[str]:
    stocks = [name for name in found if name.startswith(("stock", "newest"))]
    ours = [name for name in found if name not in stocks]
    compared = [name for name in stocks if not name.endswith("greedy")]
    head = ["pairs", "rows", *stocks]
    for name in ours:
        head += [name, *(f"/ {stock}" for stock in compared)]
    head += ["read per step", "floor"]
    lines = ["| " + " | ".join(head) + " |", "| ---: " * len(head) + "|"]
    for pairs in PAIRS:
        key, rows = str(pairs), 2 * pairs
        cells = [key, str(rows), *(f"{found[name][key]:.2f}" for name in stocks)]
        for name in ours:
            cells.append(f"{found[name][key]:.2f}")
            cells += [f"{found[name][key] / found[stock][key]:.2f}" for stock in compared]
        read = weight_bytes + rows * CONTEXT * size.cache_bytes_per_token
        cells += [f"{read / 1e9:.2f} GB", f"{1000 * read / bytes_per_s:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    device = parser.parse_args().device
    size = RELEASED if device == "cuda" else SMALL
    name = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}, 1 thread"
    bytes_per_s = bandwidth(device)
    torch.cuda.empty_cache()
    found: Found = {}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, "acestep-5Hz-lm-random")
        weight_bytes = write(checkpoint, size)
        for kind in ("stock", "newest", "ours") if device == "cuda" else ("stock", "ours"):
            try:
                found |= measure(kind, device, checkpoint)
            except subprocess.CalledProcessError as error:
                if kind != "newest":
                    raise
                print(f"the newer runner cannot be measured here: {error}", file=sys.stderr)
    print(f"{name}, {bytes_per_s / 1e9:.0f} GB/s; {size.name}, {VOCABULARY} tokens; ms per step\n")
    print("\n".join(table(found, size, weight_bytes, bytes_per_s)))


if __name__ == "__main__":
    main()
