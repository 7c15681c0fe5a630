"""Trials one after another, on a ground that they share for as long as it is whole."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from bench.faults.finding import Finding, NotHere

Ground = TypeVar("Ground")
WITHIN_S = 600.0
"""Longer than any trial takes."""


async def in_turn(
    trials: Mapping[str, Callable[[Ground], Awaitable[Finding]]],
    ground: Callable[[], AbstractAsyncContextManager[Ground]],
    within_s: float = WITHIN_S,
) -> list[Finding]:
    """What each of `trials` found. One that breaks, or does not end, is told as a promise not kept.

    Whatever it left behind is not what the next one expects, so that one gets a new ground.
    Raises `NotHere` if there can be no ground.
    """
    findings = list[Finding]()
    left = list(trials)
    while left:
        async with ground() as place:
            whole = True
            while left and whole:
                name = left.pop(0)
                finding, whole = await _told(name, trials[name](place), within_s)
                findings.append(finding)
    return findings


async def _told(name: str, trial: Awaitable[Finding], within_s: float) -> tuple[Finding, bool]:
    """The finding, and whether the trial came to its end."""
    began, whole = time.monotonic(), True
    try:
        async with asyncio.timeout(within_s):
            finding = await trial
    except NotHere:
        raise
    except Exception as error:  # noqa: BLE001 - whatever breaks a trial must not take the others' findings along
        finding, whole = Finding.broken(name, error), False
    verdict = "kept" if finding.kept else "NOT KEPT"
    print(
        f"{name}: {verdict}, {time.monotonic() - began:.0f} s; {finding.happened}",
        file=sys.stderr,
        flush=True,
    )
    return finding, whole
