"""Load for a system: requests of every kind, arriving by chance, and what their callers see.

    python -m bench.load --address localhost:50050 --rate 0.5 --seconds 300
    python -m bench.load --models models/tiny --rate 0.5 --seconds 300
    python -m bench.load --models models/tiny --soak --minutes 60

Without `--address` the three services are started here. Requests are sent when their moment has
come, however many are unanswered, and times count from that moment: a system that is too slow
cannot hide it by being asked less. Prints a table, and leaves JSON and pictures in `--out`. A soak
also follows memory and open files of each process, and exits with 1 if one of them grows.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from acestep.client import connect
from acestep_serve.system import Ports, System, choose_dits
from bench.load import report, watch
from bench.load.caller import Caller, Outcome, ask_all
from bench.load.schedule import DEFAULT_MIX, Kind, parse_mix, poisson
from bench.rolling import running

SAMPLES = 200
"""Of memory, over a soak."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is put under load."""

    address: str
    pids: dict[str, int]
    """Of the processes that run here."""


@asynccontextmanager
async def own_system(models: Path, first_port: int) -> AsyncIterator[Target]:
    """The three services, one of each; nothing is left running."""
    with tempfile.TemporaryDirectory() as folder:
        ports = Ports(first_port, first_port + 1, first_port + 2, first_port + 3)
        system = System(models, "cpu", ports, Path(folder), choose_dits(models, ()))
        services = system.services()
        async with running(services[::-1]) as children:
            yield Target(system.address, {item.name: children[item.address].pid for item in services})


@asynccontextmanager
async def target(options: argparse.Namespace) -> AsyncIterator[Target]:
    if options.address:
        yield Target(options.address, dict(options.pid))
        return
    async with own_system(options.models, options.first_port) as own:
        yield own


async def load(options: argparse.Namespace) -> tuple[list[Outcome], list[watch.Watched]]:
    asks = poisson(options.rate, options.seconds, options.mix, options.lengths, options.seed)
    async with target(options) as system, connect(system.address) as client:
        watched = watch.processes(system.pids)
        began_s = time.monotonic()
        async with watch.watching(watched, max(0.5, options.seconds / SAMPLES)):
            outcomes = await ask_all(Caller(client, options.deadline, options.live), asks)
    for item in watched:
        if item.memory.name == "gateway":
            watch.keep_results(item, outcomes, began_s)
    return outcomes, watched


def main(options: argparse.Namespace) -> int:
    """Print and write what was measured; 1 if a soak shows that something grows."""
    if options.soak:
        options.seconds = options.minutes * 60
    options.out.mkdir(parents=True, exist_ok=True)
    outcomes, watched = asyncio.run(load(options))
    summary = report.summarise(outcomes, options.warm_up, options.target)
    print(report.table(summary))
    told = {name: value for name, value in vars(options).items() if name != "pid"}
    processes = watch.as_json(watched)
    report.write_json(options.out / "load.json", summary, outcomes, options=told, processes=processes)
    report.draw(options.out / "load.png", outcomes, options.warm_up)
    if not (options.soak and watched):
        return 0
    print("\n" + watch.table(watched))
    watch.draw(options.out / "soak.png", watched)
    broken = [reason for item in watched if (reason := item.broken())]
    for reason in broken:
        print(f"BROKEN: {reason}")
    return 1 if broken else 0


def _pid(text: str) -> tuple[str, int]:
    name, _, pid = text.partition("=")
    return name, int(pid)


def _lengths(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--address", help="of a gateway that runs already")
    parser.add_argument(
        "--models", type=Path, default=Path("models/tiny"), help="for a system started here"
    )
    parser.add_argument("--first-port", type=int, default=21050)
    parser.add_argument("--rate", type=float, default=0.5, help="requests per second, on average")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long requests arrive")
    parser.add_argument("--warm-up", type=float, default=20.0, help="seconds that do not count")
    weights = ",".join(f"{kind.value}={weight:g}" for kind, weight in DEFAULT_MIX.items())
    parser.add_argument(
        "--mix", type=parse_mix, default=DEFAULT_MIX, help=f"weights of {', '.join(Kind)}; {weights}"
    )
    parser.add_argument("--lengths", type=_lengths, default=[10.0, 20.0, 30.0], help="of songs, in seconds")
    parser.add_argument("--live", action="store_true", help="hear songs while they are decoded")
    parser.add_argument("--target", type=float, default=30.0, help="what is done within it is in time")
    parser.add_argument("--deadline", type=float, default=600.0, help="of each request, in seconds")
    parser.add_argument("--seed", type=int, default=1, help="the same seed asks the same")
    parser.add_argument("--soak", action="store_true", help="follow memory and open files")
    parser.add_argument("--minutes", type=float, default=60.0, help="of a soak")
    parser.add_argument(
        "--pid", type=_pid, action="append", default=[], metavar="NAME=PID", help="follow this one as well"
    )
    parser.add_argument("--out", type=Path, default=Path("out/load"), help="folder for JSON and pictures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    began = time.monotonic()
    code = main(parsed(sys.argv[1:]))
    print(f"\n{time.monotonic() - began:.0f} s in all")
    sys.exit(code)
