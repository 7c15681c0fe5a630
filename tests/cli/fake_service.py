"""What the fake services of these tests are made of: real processes that serve gRPC health.

A fake service is the line `fake_service.main("lm")` in a `__main__.py` of the right name. It notes
its process id in `<name>.pid`, and a file `<name>.trouble` in the working directory holds what it
shall do wrong.
"""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

from common.exposure import Exposure
from common.server import serving, until_signalled

HOLD = """
import fcntl, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
signal.pause()
"""
"""A process that holds a locked file until it is killed; it stands for an engine of the service."""


def main(name: str) -> None:
    trouble_file = Path(f"{name}.trouble")
    trouble = trouble_file.read_text() if trouble_file.exists() else ""
    sys.stderr.write(f"{name} runs\n")
    if trouble == "dies":
        sys.exit(f"{name} has no weights")
    if trouble == "deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if trouble == "engine":
        engine = subprocess.Popen([sys.executable, "-c", HOLD, f"{name}.lock"], stdout=subprocess.PIPE)
        assert engine.stdout is not None
        engine.stdout.readline()
    asyncio.run(_serve(name, never_ready=trouble == "slow"))


async def _serve(name: str, never_ready: bool) -> None:
    prefix = f"ACESTEP_{name.upper()}_"
    settings = dict(os.environ)  # noqa: TID251 - what the real settings read

    def file(key: str) -> Path | None:
        return Path(settings[prefix + key]) if prefix + key in settings else None

    exposure = Exposure(
        tls_certificate=file("TLS_CERTIFICATE"),
        tls_key=file("TLS_KEY"),
        tls_client_ca=file("TLS_CLIENT_CA"),
        health_address=settings.get(f"{prefix}HEALTH_ADDRESS"),
    )
    address = settings[f"{prefix}ADDRESS"]
    async with serving(address, lambda server: None, [], grace_s=0, exposure=exposure) as server:
        Path(f"{name}.pid").write_text(str(os.getpid()))
        if not never_ready:
            server.welcome()
        await until_signalled()


def wait_until_released(lock: Path) -> None:
    """Returns when no process holds `lock` any more."""
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
