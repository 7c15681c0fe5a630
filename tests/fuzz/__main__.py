"""`python -m tests.fuzz CALLS FILES [SEED]`: the fuzz run of `make fuzz`, with a seed of the day."""

import asyncio
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.rpcs import fuzz
from tests.fuzz.system import system

logger = logging.getLogger("fuzz")


async def calls(seed: int, count: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        async with system(Path(folder)) as channels:
            started = time.monotonic()
            ends, faults = await fuzz(channels, seed, count)
    seconds = time.monotonic() - started
    logger.info("%d calls in %.0f s, seed %d: %s", count, seconds, seed, dict(ends))
    return faults


def files(seed: int, count: int) -> list[str]:
    last = Path(tempfile.gettempdir(), f"fuzz-{seed}.bin")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.audio", str(seed), str(count), str(last)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        return [f"a file ended its reader with {done.returncode}: {last}\n{done.stderr[-2000:]}"]
    last.unlink()
    logger.info("%d audio files, seed %d: %s", count, seed, done.stdout.strip())
    return []


if __name__ == "__main__":
    logging.basicConfig(level="WARNING", format="%(message)s")
    logger.setLevel("INFO")
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else time.time_ns() % 2**32
    found = [*asyncio.run(calls(seed, int(sys.argv[1]))), *files(seed, int(sys.argv[2]))]
    sys.exit("\n".join(found) if found else 0)
