"""One row of the table in docs/reliability.md."""

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
    """Until all was as before; None if it was never otherwise."""
    kept: bool
    """Whether the promise was kept."""


def table(findings: Iterable[Finding]) -> str:
    lines = [
        "| fault | promised | happened | lost | recovery | kept |",
        "| --- | --- | --- | --- | ---: | --- |",
    ]
    for item in findings:
        recovery = "none needed" if item.recovery_s is None else f"{item.recovery_s:.1f} s"
        verdict = "yes" if item.kept else "**no**"
        lines.append(
            f"| {item.fault} | {item.promised} | {item.happened} | {item.lost} | {recovery} | {verdict} |"
        )
    return "\n".join(lines)
