"""Every fault once, against real processes; the table of docs/reliability.md.

    python -m bench.faults --write docs/reliability.md
    python -m bench.faults --only "lm replica killed" --only "full disk"
    python -m bench.faults --models models/tiny --write docs/reliability.md

The gateway is the real one, the stages are real services over stand-in engines, two of each. Hosts
are network namespaces joined by cables in user space. Takes about ten minutes, and root for hosts,
small disks and memory limits; without it those faults are left out, and said to be. With `--models` the
stages are real too: the most telling faults of one host, for a table of their own. Exits with 1 if a
promise was not kept.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from bench.faults import callers, machine, network, processes
from bench.faults.farm import Farm, farm
from bench.faults.finding import Finding, NotHere, table
from bench.faults.network import Net, net
from bench.faults.real import real_farm
from bench.faults.trials import in_turn

PAUSE_S = 30.0
MEASURED, WITH_REAL = "measured", "measured with real engines"
"""The marks of the two tables."""
Trial = TypeVar("Trial")
ON_ONE_HOST: dict[str, Callable[[Farm], Awaitable[Finding]]] = {
    "lm replica killed": lambda farm: processes.replica_killed(farm, "lm"),
    "dit replica killed": lambda farm: processes.replica_killed(farm, "dit"),
    "lm stage killed": lambda farm: processes.stage_killed(farm, "lm"),
    "dit stage killed": lambda farm: processes.stage_killed(farm, "dit"),
    "gateway killed": processes.gateway_killed,
    "lm replica paused": lambda farm: processes.replica_paused(farm, "lm", PAUSE_S),
    "dit replica paused": lambda farm: processes.replica_paused(farm, "dit", PAUSE_S),
    "gateway paused": lambda farm: processes.gateway_paused(farm, PAUSE_S),
    "idle dit replica paused": processes.idle_replica_paused,
    "lm replica stuck": lambda farm: processes.replica_stuck(farm, "lm"),
    "dit replica stuck": lambda farm: processes.replica_stuck(farm, "dit"),
    "slow callers": callers.slow_callers,
    "silent callers": lambda farm: callers.silent_callers(farm, 100, 150.0),
    "malformed frames": callers.malformed_frames,
    "floods": callers.flooded,
}
BETWEEN_HOSTS: dict[str, Callable[[Net], Awaitable[Finding]]] = {
    "short cut": lambda net: network.short_cut(net, 5.0),
    "lm host cut": lambda net: network.long_cut(net, "lm"),
    "dit host cut": lambda net: network.long_cut(net, "dit"),
    "caller vanishes": network.caller_vanishes,
    "delay": lambda net: network.delayed(net, 0.1),
}
WITH_OWN_MACHINE: dict[str, Callable[[tuple[Path, int]], Awaitable[Finding]]] = {
    "full disk": lambda place: machine.full_disk(*place),
    "memory limit": lambda place: machine.memory_limit_reached(*place),
    "clock": lambda place: machine.clock_jumps(*place),
}
NAMES = (*ON_ONE_HOST, *BETWEEN_HOSTS, *WITH_OWN_MACHINE)
WITH_REAL_ENGINES = (
    "lm replica killed",
    "dit replica killed",
    "lm stage killed",
    "gateway killed",
    "lm replica paused",
    "dit replica paused",
)


async def every(first_port: int, wanted: set[str]) -> tuple[list[Finding], list[str]]:
    """What was found, and what could not be tried, with the reason."""

    @asynccontextmanager
    async def one_host() -> AsyncIterator[Farm]:
        with tempfile.TemporaryDirectory() as folder:
            async with farm(Path(folder), first_port) as running:
                yield running

    @asynccontextmanager
    async def several_hosts() -> AsyncIterator[Net]:
        with tempfile.TemporaryDirectory() as folder:
            async with net(Path(folder), first_port) as hosts:
                yield hosts

    @asynccontextmanager
    async def own_machine() -> AsyncIterator[tuple[Path, int]]:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder), first_port

    findings = await in_turn(_chosen(ON_ONE_HOST, wanted), one_host)
    left_out = list[str]()
    apart = _chosen(BETWEEN_HOSTS, wanted)
    try:
        findings += await in_turn(apart, several_hosts)
    except NotHere as error:
        left_out.append(f"{', '.join(apart)}: {error}")
    for name, trial in _chosen(WITH_OWN_MACHINE, wanted).items():
        try:
            findings += await in_turn({name: trial}, own_machine)
        except NotHere as error:
            left_out.append(f"{name}: {error}")
    return findings, left_out


async def real(models: Path, first_port: int, wanted: set[str]) -> list[Finding]:
    """What was found with real engines."""

    @asynccontextmanager
    async def one_host() -> AsyncIterator[Farm]:
        with tempfile.TemporaryDirectory() as folder:
            async with real_farm(models, Path(folder), first_port) as running:
                yield running

    return await in_turn(_chosen(ON_ONE_HOST, wanted & set(WITH_REAL_ENGINES)), one_host)


def _chosen(trials: Mapping[str, Trial], wanted: set[str]) -> dict[str, Trial]:
    return {name: trial for name, trial in trials.items() if name in wanted}


def page(command: str, findings: list[Finding], left_out: list[str]) -> str:
    day, kernel = datetime.now(UTC).date().isoformat(), platform.release().partition("-")[0]
    lines = [
        f"`{command}`, {day}, Linux {kernel}, {os.cpu_count()} cores shared with other work.",
        "",
        table(findings),
        *(f"\nNot tried here: {reason}." for reason in left_out),
    ]
    return "\n".join(lines)


def write(path: Path, text: str, mark: str = MEASURED) -> None:
    """Put `text` between the two marks of that name. Raises `ValueError` if `path` lacks them."""
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, found, rest = path.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"{path} lacks the marks {begin} and {end}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def main(options: argparse.Namespace) -> int:
    wanted = set(options.only or NAMES)
    if options.models is None:
        mark, command = MEASURED, "python -m bench.faults"
        findings, left_out = asyncio.run(every(options.first_port, wanted))
    else:
        mark, command = WITH_REAL, f"python -m bench.faults --models {options.models}"
        findings, left_out = asyncio.run(real(options.models, options.first_port, wanted)), []
    text = page(command, findings, left_out)
    print(text)
    if options.write is not None:
        write(options.write, text, mark)
    return 0 if all(finding.kept for finding in findings) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first-port", type=int, default=21050)
    parser.add_argument(
        "--only", action="append", choices=NAMES, help="this fault, and others that are named"
    )
    parser.add_argument("--models", type=Path, help="real stages with these models")
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    sys.exit(main(parser.parse_args()))
