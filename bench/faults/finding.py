"""One row of the table in docs/reliability.md."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

NOTHING = "nothing"


class NotHere(Exception):
    """This machine, or this user, cannot make the fault; the message says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a fault did."""

    fault: str
    promised: str
    happened: str
    lost: str
    """What nobody got, in words."""
    recovery_s: float | None
    """Until all was as before; None if it was never otherwise, infinite if that was not seen."""
    kept: bool
    """Whether the promise was kept."""

    @classmethod
    def broken(cls, name: str, error: Exception) -> "Finding":
        """That of a trial which did not come to its end."""
        what = f"{type(error).__name__}: {error}".rstrip(": ").replace("|", "/").replace("\n", " ")
        return cls(name, "that the trial ends", f"not kept: {what}", "not seen", math.inf, False)


def table(findings: Iterable[Finding]) -> str:
    lines = [
        "| fault | promised | happened | lost | recovery | kept |",
        "| --- | --- | --- | --- | ---: | --- |",
    ]
    for item in findings:
        recovery = _recovery(item.recovery_s)
        verdict = "yes" if item.kept else "**no**"
        lines.append(
            f"| {item.fault} | {item.promised} | {item.happened} | {item.lost} | {recovery} | {verdict} |"
        )
    return "\n".join(lines)


def _recovery(seconds: float | None) -> str:
    if seconds is None:
        return "none needed"
    return "not seen" if math.isinf(seconds) else f"{seconds:.1f} s"
