"""Every fault once, against real processes; the table of docs/reliability.md.

    python -m bench.faults --write docs/reliability.md
    python -m bench.faults --only "replica killed" --only "full disk"

The gateway is the real one, the stages are real services over stand-in engines, two of each. Hosts
are network namespaces joined by cables in user space. Takes about ten minutes, and root for hosts,
small disks and memory limits; without it those faults are left out, and said to be. Exits with 1 if
a promise was not kept.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.faults import callers, machine, network, processes
from bench.faults.farm import Farm, farm
from bench.faults.finding import Finding, NotHere, table
from bench.faults.network import Net, net

PAUSE_S = 30.0
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
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
WITH_OWN_MACHINE: dict[str, Callable[[Path, int], Awaitable[Finding]]] = {
    "full disk": machine.full_disk,
    "memory limit": machine.memory_limit_reached,
    "clock": machine.clock_jumps,
}
NAMES = (*ON_ONE_HOST, *BETWEEN_HOSTS, *WITH_OWN_MACHINE)


async def every(first_port: int, wanted: set[str]) -> tuple[list[Finding], list[str]]:
    """What was found, and what could not be tried, with the reason."""
    findings, left_out = list[Finding](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        if here := [name for name in ON_ONE_HOST if name in wanted]:
            async with farm(Path(folder), first_port) as running:
                for name in here:
                    findings.append(await _told(name, ON_ONE_HOST[name](running)))
    if apart := [name for name in BETWEEN_HOSTS if name in wanted]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                async with net(Path(folder), first_port) as hosts:
                    for name in apart:
                        findings.append(await _told(name, BETWEEN_HOSTS[name](hosts)))
            except NotHere as error:
                left_out.append(f"{', '.join(apart)}: {error}")
    for name in (name for name in WITH_OWN_MACHINE if name in wanted):
        with tempfile.TemporaryDirectory() as folder:
            try:
                findings.append(await _told(name, WITH_OWN_MACHINE[name](Path(folder), first_port)))
            except NotHere as error:
                left_out.append(f"{name}: {error}")
    return findings, left_out


async def _told(name: str, trial: Awaitable[Finding]) -> Finding:
    began = time.monotonic()
    finding = await trial
    verdict = "kept" if finding.kept else "NOT KEPT"
    print(
        f"{name}: {verdict}, {time.monotonic() - began:.0f} s; {finding.happened}",
        file=sys.stderr,
        flush=True,
    )
    return finding


def page(findings: list[Finding], left_out: list[str]) -> str:
    day, kernel = datetime.now(UTC).date().isoformat(), platform.release().partition("-")[0]
    lines = [
        f"`python -m bench.faults`, {day}, Linux {kernel}, {os.cpu_count()} cores shared with other work.",
        "",
        table(findings),
        *(f"\nNot tried here: {reason}." for reason in left_out),
    ]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Put `text` between the marks. Raises `ValueError` if `path` has none."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path} lacks the marks {BEGIN} and {END}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def main(options: argparse.Namespace) -> int:
    wanted = set(options.only or NAMES)
    findings, left_out = asyncio.run(every(options.first_port, wanted))
    text = page(findings, left_out)
    print(text)
    if options.write is not None:
        write(options.write, text)
    return 0 if all(finding.kept for finding in findings) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first-port", type=int, default=21050)
    parser.add_argument(
        "--only", action="append", choices=NAMES, help="this fault, and others that are named"
    )
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    sys.exit(main(parser.parse_args()))
