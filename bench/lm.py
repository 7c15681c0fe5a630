"""What guidance and the grammar cost per step, beside stock vLLM at the same number of rows.

    python -m bench.lm --device cuda

Needs a machine of its own, no network and no checkpoint: random weights of the released 0.6B
dimensions (on a CPU: few layers) under the released vocabulary of 217,204 tokens. Sampled, temperature
0.85, top-p 0.9, scale 2. "stock" is vLLM on the same model runner as ours, "newest" its newer runner, which
has no place for our processor (CUDA only). On a GPU all of them plan a step while the last is computed.
"guided" writes free text over the whole vocabulary, "guided, codes" audio codes, the service's main work;
"invariant" is that with ACESTEP_LM_BATCH_INVARIANT (CUDA only). The floor is what a step must read, weights
and cached keys and values, over the measured bandwidth.

On a GPU all engines start at once, as that takes longest; then one after the other is measured, while the
others rest. One that fails or takes too long leaves its cells empty; what was measured is printed at once.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from bench.lm_checkpoint import RELEASED, SMALL, VOCABULARY, Size, write

PAIRS = (1, 8, 32)
STEPS = {"cpu": 8, "cuda": 128}
REPEATS = {"cpu": 1, "cuda": 5}
CONTEXT = 200
"""Tokens of a row in the middle of the measured steps, about."""

CODES, INVARIANT = "guided, codes", "guided, codes, invariant"
STOCK = ("stock", "newest")
NAMES = {
    **{kind: (kind, f"{kind}, greedy") for kind in STOCK},
    "ours": ("guided", CODES),
    "invariant": (INVARIANT,),
}
"""What each kind of engine is measured at."""

KINDS = {"cpu": ("stock", "ours"), "cuda": tuple(NAMES)}
START_S = 150.0
MEASURE_S = {"cpu": 400.0, "cuda": 60.0}
"""How long the start may take, and the measurement of one engine."""

ENVIRONMENT = (
    *("VLLM_ENABLE_V1_MULTIPROCESSING=0", "VLLM_NO_USAGE_STATS=1", "HF_HUB_OFFLINE=1"),
    *("OMP_NUM_THREADS=1", "VLLM_CPU_OMP_THREADS_BIND=nobind"),
)
OWN_ENVIRONMENT = {"newest": (), "invariant": ("VLLM_USE_V2_MODEL_RUNNER=0", "VLLM_BATCH_INVARIANT=1")}

Found = dict[str, dict[str, float]]
"""Milliseconds per step, by what is done and by pairs."""


class Candidate:
    """An engine in a process of its own: `bench.lm_engine`, which waits until it is told to begin."""

    def __init__(self, kind: str, device: str, checkpoint: Path) -> None:
        self.kind = kind
        self._limit_s = MEASURE_S[device]
        self._result = checkpoint.parent / f"{kind}.json"
        self._ready = checkpoint.parent / f"{kind}.ready"
        own = OWN_ENVIRONMENT.get(kind, ("VLLM_USE_V2_MODEL_RUNNER=0",))
        # Two that compile the same network must not find each other's half-written files.
        cache = f"VLLM_CACHE_ROOT={checkpoint.parent / kind}"
        command = ["env", *ENVIRONMENT, *own, cache, sys.executable, "-m", "bench.lm_engine"]
        command += ["--kind", kind, "--device", device, "--checkpoint", str(checkpoint)]
        command += ["--result", str(self._result), "--ready", str(self._ready), "--pairs", *map(str, PAIRS)]
        command += ["--steps", str(STEPS[device]), "--repeats", str(REPEATS[device])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr)

    def is_starting(self) -> bool:
        return not self._ready.exists() and self._process.poll() is None

    def measure(self) -> Found:
        """What it found until it was done, failed or ran out of time."""
        start = time.perf_counter()
        if self._ready.exists():
            try:
                self._process.communicate(b"begin\n", timeout=self._limit_s)
            except subprocess.TimeoutExpired:
                print(f"{self.kind}: stopped after {self._limit_s:g} s", file=sys.stderr)
        else:
            print(f"{self.kind}: not started", file=sys.stderr)
        self.end()
        found: Found = json.loads(self._result.read_text()) if self._result.exists() else {}
        print(f"{self.kind}: {time.perf_counter() - start:.0f} s, {json.dumps(found)}", flush=True)
        return found

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def measured(kinds: Sequence[str], device: str, checkpoint: Path) -> Found:
    start, found = time.perf_counter(), Found()
    candidates = [Candidate(kind, device, checkpoint) for kind in kinds]
    try:
        while any(item.is_starting() for item in candidates) and time.perf_counter() - start < START_S:
            time.sleep(0.2)
        print(f"started after {time.perf_counter() - start:.0f} s", flush=True)
        for item in candidates:
            found |= item.measure()
    finally:
        for item in candidates:
            item.end()
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


def table(
    found: Found, names: Sequence[str], size: Size, weight_bytes: int, bytes_per_s: float
) -> list[str]:
    """`names` are those to be measured; a cell without a figure has a dash."""
    compared = [name for name in STOCK if name in names]
    head = ["pairs", "rows", *names, *(f"{CODES} / {stock}" for stock in compared)]
    head += ["read per step", "floor", f"floor / {CODES}"]
    lines = ["| " + " | ".join(head) + " |", "| ---: " * len(head) + "|"]
    for pairs in PAIRS:
        rows, ms = 2 * pairs, {name: found.get(name, {}).get(str(pairs)) for name in (*names, CODES)}
        read = weight_bytes + rows * CONTEXT * size.cache_bytes_per_token
        floor = 1000 * read / bytes_per_s
        cells = [str(pairs), str(rows), *(_cell(ms[name]) for name in names)]
        cells += [_ratio(ms[CODES], ms[stock]) for stock in compared]
        cells += [f"{read / 1e9:.2f} GB", _cell(floor), _ratio(floor, ms[CODES])]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _ratio(value: float | None, by: float | None) -> str:
    return _cell(value / by if value and by else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--kinds", nargs="+", choices=tuple(NAMES), help="engines; default: all that can run"
    )
    given = parser.parse_args()
    device = given.device
    size = RELEASED if device == "cuda" else SMALL
    name = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}, 1 thread"
    bytes_per_s = bandwidth(device)
    if device == "cuda":
        torch.cuda.empty_cache()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, "acestep-5Hz-lm-random")
        weight_bytes = write(checkpoint, size)
        kinds, found = given.kinds or KINDS[device], Found()
        # Started at once they would take turns on a CPU.
        for group in [kinds] if device == "cuda" else [(kind,) for kind in kinds]:
            found |= measured(group, device, checkpoint)
    versions = f"vLLM {_vllm_version()}, torch {torch.__version__}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {name}, {bytes_per_s / 1e9:.0f} GB/s; {versions}")
    print(f"{size.name}, {VOCABULARY} tokens; milliseconds per step\n")
    names = [name for kind in kinds for name in NAMES[kind]]
    print("\n".join(table(found, names, size, weight_bytes, bytes_per_s)))


def _vllm_version() -> str:
    for name in ("vllm", "vllm-cpu"):
        with suppress(PackageNotFoundError):
            return version(name)
    return "of unknown version"


if __name__ == "__main__":
    main()
