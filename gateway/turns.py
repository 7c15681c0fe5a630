"""Whose turn it is, so that each gets its share by the work that it asks for. Pure arithmetic."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Turns:
    """Start-time fair queueing. Each key's work is laid end to end on a scale of its own time.

    The scale moves on as work is served, by that work's share of one of those who wait; who comes
    late begins where the scale is, so that nobody saves up turns, and nobody waits for ever.
    """

    _now: float = 0.0
    _free_from: dict[str, float] = field(default_factory=dict)

    def stamp(self, key: str, work_s: float) -> float:
        """Where on the scale `work_s` of `key` begins; the smallest stamp is served first."""
        start = max(self._now, self._free_from.get(key, 0.0))
        self._free_from[key] = start + work_s
        return start

    def given_up(self, key: str, work_s: float) -> None:
        """`work_s` of `key`, which has its stamp, will not be served: what comes next takes its place."""
        if key in self._free_from:
            self._free_from[key] -= work_s

    def served(self, work_s: float, waiting_keys: int) -> None:
        self._now += work_s / max(1, waiting_keys)
        if len(self._free_from) > 2 * waiting_keys + 16:
            self._free_from = {key: at for key, at in self._free_from.items() if at > self._now}
