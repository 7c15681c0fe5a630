"""The folder of a running system: its logs, and who runs it.

The file `pid` is locked for as long as the system runs. So a file that a crash left behind is
told from a live one, and waiting for the lock is waiting for the end.
"""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PID_FILE = "pid"


class AlreadyRunningError(Exception):
    """Another system uses the folder."""


@contextmanager
def held(run_dir: Path) -> Iterator[None]:
    """Own `run_dir`, which is made if needed. Raises `AlreadyRunningError`."""
    run_dir.mkdir(parents=True, exist_ok=True)
    path = run_dir / PID_FILE
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = path.read_text().strip()
            raise AlreadyRunningError(f"a system runs in {run_dir} already (process {pid})") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def stop(run_dir: Path) -> bool:
    """Ask the system in `run_dir` to stop, and wait until it has; false if none runs there."""
    path = run_dir / PID_FILE
    if not path.is_file():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with suppress(ProcessLookupError):  # it is just ending
                os.kill(int(file.read()), signal.SIGTERM)
            fcntl.flock(file, fcntl.LOCK_EX)
            return True
    path.unlink(missing_ok=True)
    return False
