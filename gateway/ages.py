"""How long files were not used, by a clock that nobody sets."""

import contextlib
import time
from collections.abc import Set
from pathlib import Path


class Ages:
    """Of the files in a folder, by name.

    The wall clock is asked once, at the start, for what an earlier process left. From then on a file is as
    old as its present time stamp was known here: a clock that jumps ages nothing, and another gateway that
    uses a file renews its stamp.
    """

    def __init__(self, folder: Path) -> None:
        self._known: dict[str, tuple[int, float]] = {}
        """Time stamp in nanoseconds, and since when it is known, on the monotonic clock."""
        now, wall = time.monotonic(), time.time()
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another gateway may have deleted it
                status = path.stat()
                self._known[path.name] = status.st_mtime_ns, now - max(0.0, wall - status.st_mtime)

    def of(self, name: str, stamp_ns: int) -> float:
        """Seconds for which the file has had this time stamp."""
        now = time.monotonic()
        stamp, since = self._known.get(name, (None, now))
        if stamp != stamp_ns:
            since = now
            self._known[name] = stamp_ns, since
        return now - since

    def used(self, path: Path) -> None:
        """It was written or read just now."""
        self.of(path.name, path.stat().st_mtime_ns)

    def keep(self, names: Set[str]) -> None:
        """Forget all others."""
        for name in set(self._known) - names:
            self._known.pop(name, None)
