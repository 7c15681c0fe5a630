"""One deadline for all the work of a call."""

import time


class Deadline:
    """The moment by which a caller wants its answer, if it said so."""

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def within(self, limit_s: float) -> float:
        """Seconds that the next stage may take: `limit_s`, or what is left if that is less."""
        if self._at is None:
            return limit_s
        return max(0.0, min(limit_s, self._at - time.monotonic()))
