"""The capacity model: its costs, its check against a measured run, and what it says of larger systems.

    python -m bench.load --models models/tiny --seconds 900 --out out/load
    python -m bench.simulate --check out/load/load.json --write docs/scaling.md

Prints the tables of docs/scaling.md, and draws docs/scaling.png beside it.
"""

import argparse
import asyncio
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
import numpy as np

from bench.faults.__main__ import write
from bench.simulate import check, gateway_cost
from bench.simulate.costs import (
    EAGER,
    GRAPHS,
    LM_STEP_MS,
    PCM_BYTES_PER_S,
    Diffusion,
    Mix,
    dit_s,
    lm_step_s,
    lm_steps,
    songs_per_gpu_hour,
)
from bench.simulate.farm import LEAST_SONGS, SIMULATED_S, Size, needed, simulate
from bench.simulate.gateway_cost import GatewayCost

mpl.use("Agg")
from matplotlib import pyplot as plt

MIX = Mix()
HOURLY = (1_000, 10_000, 100_000, 400_000)
TARGETS_S = (6.0, 10.0)
PICTURED = (Size(1, 1), Size(2, 3), Size(4, 6), Size(8, 12))
LARGE = 1000
HEADROOM = 0.8
"""Share of a process or of a GPU that is planned for; the rest is for chance and for lost replicas."""
CELL_GPUS = 20
GBIT = 1e9 / 8


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    """A table; all but its first column are figures."""
    marks = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, marks, *rows))


def costs_table() -> str:
    tokens = [lm_steps(song_s) for song_s in MIX.lengths_s]
    rows = []
    for pairs in LM_STEP_MS:
        step_s = lm_step_s(pairs)
        hourly = 3600 * pairs / float(np.dot(tokens, MIX.weights)) / step_s
        seconds = [f"{count * step_s:.2f} s" for count in tokens]
        rows.append([f"language model, {pairs} at once", *seconds, f"{hourly:,.0f}"])
    for diffusion in (EAGER, GRAPHS):
        hourly = songs_per_gpu_hour(MIX, diffusion)[1]
        seconds = [f"{dit_s(song_s, diffusion):.2f} s" for song_s in MIX.lengths_s]
        rows.append([f"diffusion and codec, {diffusion.name}", *seconds, f"{hourly:,.0f}"])
    lengths = [f"{song_s:g} s of song" for song_s in MIX.lengths_s]
    return markdown(["", *lengths, "songs per GPU-hour, mixed"], rows)


def sizes_table(diffusion: Diffusion) -> str:
    rows = []
    for hourly in HOURLY:
        sizes = [needed(hourly, target_s, MIX, diffusion) for target_s in TARGETS_S]
        rows.append([f"{hourly:,}", *(f"{size.lm} LM + {size.dit} DiT" for size in sizes)])
    targets = [f"p95 within {target_s:g} s" for target_s in TARGETS_S]
    return markdown([f"songs per hour, {diffusion.name}", *targets], rows)


def large_table(cost: GatewayCost, diffusion: Diffusion) -> str:
    """What `LARGE` GPUs make, and what else that takes."""
    lm_hourly, dit_hourly = songs_per_gpu_hour(MIX, diffusion)
    lm = round(LARGE * dit_hourly / (lm_hourly + dit_hourly))
    size = Size(lm, LARGE - lm)
    hourly = HEADROOM * min(lm * lm_hourly, size.dit * dit_hourly)
    rate = hourly / 3600
    run = simulate(size, rate, MIX, diffusion, int(max(LEAST_SONGS, 12 * rate)), seed=1)
    audio_per_s = rate * MIX.mean_s
    samples = audio_per_s * PCM_BYTES_PER_S / GBIT
    hourly_core = 3600 * HEADROOM / cost.cpu_s(MIX.mean_s)
    gateways = int(np.ceil(hourly / hourly_core))
    cells = int(np.ceil(LARGE / CELL_GPUS))
    own = int(np.ceil(gateways / cells))
    rows = {
        "GPUs": f"{size.lm} LM + {size.dit} DiT ({size.dit / size.lm:.1f} DiT for each LM)",
        f"songs per hour at {HEADROOM:.0%} load": f"{hourly:,.0f}",
        "p50, p95 of a song": f"{run.percentile(50):.1f} s, {run.percentile(95):.1f} s",
        "songs that a language model writes at once, on average": f"{run.lm_pairs:.1f}",
        "seconds of song per second": f"{audio_per_s:,.0f}",
        "cores that gateways need": f"{gateways:,}",
        f"songs per hour of one such core at {HEADROOM:.0%} load": f"{hourly_core:,.0f}",
        "samples from DiT to gateways": f"{samples:,.0f} Gbit/s, {samples / size.dit:.1f} per DiT GPU",
        "files to callers": f"{audio_per_s * cost.file_bytes_per_s / GBIT:,.0f} Gbit/s",
        "connections, every gateway to every replica": f"{gateways * LARGE:,}; {gateways:,} at a replica",
        f"connections, {cells} cells of {CELL_GPUS} GPUs and {own} gateways": (
            f"{cells * own * CELL_GPUS:,}; {own} at a replica"
        ),
    }
    return markdown(["", ""], [[name, value] for name, value in rows.items()])


def draw(path: Path, diffusion: Diffusion) -> None:
    """Load against p95, for several counts of replicas."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for size in PICTURED:
        lm, dit = songs_per_gpu_hour(MIX, diffusion)
        most = min(size.lm * lm, size.dit * dit)
        loads = np.array([0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98]) * most
        p95 = [
            simulate(
                size, load / 3600, MIX, diffusion, int(max(LEAST_SONGS, SIMULATED_S * load / 3600)), 1
            ).percentile(95)
            for load in loads
        ]
        axes.plot(loads, p95, ".-", label=f"{size.lm} LM + {size.dit} DiT")
    axes.set(xlabel=f"songs per hour ({diffusion.name})", ylabel="p95, s", xscale="log", ylim=(0, 20))
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def page(checks: list[Path], cost: GatewayCost) -> str:
    compared = [check.compared(*check.measured(path), warm_up_s=60.0) for path in checks]
    parts = [
        f"`python -m bench.simulate`, {datetime.now(UTC).date().isoformat()}.",
        "## What a song costs",
        costs_table(),
        "## The model beside a measured run",
        *(check.table(item) for item in compared),
        "## How many GPUs",
        sizes_table(GRAPHS),
        sizes_table(EAGER),
        "![load and p95](scaling.png)",
        "## A thousand GPUs",
        f"Measured, a song takes {1000 * cost.song_cpu_s:.0f} ms of a core of the gateway and"
        f" {1000 * cost.second_cpu_s:.1f} ms more for each of its seconds, of which FLAC makes"
        f" {cost.file_bytes_per_s / 1000:.0f} kB (of noise, which is as large as it gets).",
        large_table(cost, GRAPHS),
    ]
    return "\n\n".join(parts)


def main(options: argparse.Namespace) -> None:
    cost = asyncio.run(gateway_cost.measured(options.first_port))
    text = page(options.check, cost)
    print(text)
    if options.write is not None:
        write(options.write, text)
        draw(options.write.with_suffix(".png"), GRAPHS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", type=Path, action="append", default=[], help="load.json of a run of bench.load"
    )
    parser.add_argument("--first-port", type=int, default=21050)
    parser.add_argument("--write", type=Path, help="the page whose tables are replaced")
    main(parser.parse_args())
