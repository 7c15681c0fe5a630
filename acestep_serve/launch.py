"""Run a system in this process, or have a process in the background do so."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from acestep_serve import run_dir
from acestep_serve.display import Lines, LiveTable
from acestep_serve.supervisor import Supervisor, Timing
from acestep_serve.system import System, check_environment, check_ports

READY_MARK = "\x06"
"""Line that the process in the background sends when all is ready (ASCII: acknowledge)."""

BACKGROUND_LOG = "up.log"


def run(system: System, timing: Timing, display: Lines | LiveTable, on_ready: Callable[[], None]) -> None:
    """Run until SIGINT or SIGTERM; a second one kills what is slow to stop.

    Raises `AlreadyRunningError`, `NotStartableError` and `ServiceFailedError`.
    """
    with run_dir.held(system.run_dir):
        check_environment(os.environ)  # noqa: TID251 - passed on to the services, not read here
        check_ports(system.ports)
        asyncio.run(_run(system, timing, display, on_ready))


async def _run(
    system: System, timing: Timing, display: Lines | LiveTable, on_ready: Callable[[], None]
) -> None:
    supervisor = Supervisor(system.services(), display, timing)
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, supervisor.interrupt)
    with suppress(asyncio.CancelledError):  # interrupted, and stopped
        await asyncio.create_task(supervisor.run(on_ready))


def run_in_background(system: System, ready_s: float, say: Callable[[str], None]) -> bool:
    """Start a process that runs `system`, pass on what it says, and return once all is ready.

    False if it could not start; it has said why. Interrupted, the system is stopped again.
    """
    system.run_dir.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    with os.fdopen(reading) as announcements, (system.run_dir / BACKGROUND_LOG).open("wb") as log:
        arguments = [str(writing), str(ready_s), system.to_json()]
        process = subprocess.Popen(
            [sys.executable, "-m", "acestep_serve.background", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        try:
            ready = _relay(announcements, say)
        except KeyboardInterrupt:
            process.terminate()
            ready = _relay(announcements, say)
    if not ready:
        process.wait()
    return ready


def _relay(announcements: TextIO, say: Callable[[str], None]) -> bool:
    for line in announcements:
        if line.strip() == READY_MARK:
            return True
        say(line.rstrip("\n"))
    return False
