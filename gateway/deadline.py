"""One deadline for all the work of a call, and of the calls that join it."""

import time


class Deadline:
    """The moment by which its callers want their answer, if all of them said so."""

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def extend(self, seconds: float | None) -> None:
        """Another caller waits too: what is begun from now on may take as long as the most patient one."""
        if self._at is not None:
            self._at = None if seconds is None else max(self._at, time.monotonic() + seconds)

    def within(self, limit_s: float) -> float:
        """Seconds that the next stage may take: `limit_s`, or what is left if that is less."""
        if self._at is None:
            return limit_s
        return max(0.0, min(limit_s, self._at - time.monotonic()))
