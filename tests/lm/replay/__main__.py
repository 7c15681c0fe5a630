"""`python -m tests.lm.replay VECTORS TOKENIZER`: a line per group; exit code 1 if any vector failed."""

import argparse
import sys
from pathlib import Path

from tests.lm.replay.runner import Outcome, Verdict, count, replay


def report(outcomes: list[Outcome]) -> list[str]:
    lines = [f"{'group':30} {'passed':>7} {'failed':>7} {'departed':>9}"]
    groups = dict.fromkeys(outcome.group for outcome in outcomes)
    for name in groups:
        members = [outcome for outcome in outcomes if outcome.group == name]
        lines.append(_line(name, members))
    lines += [_line("all", outcomes), "", "deliberate departures:"]
    for reason in dict.fromkeys(departure.reason for item in outcomes for departure in item.departures):
        names = [
            item.name
            for item in outcomes
            if any(departure.reason == reason for departure in item.departures)
        ]
        lines.append(f"  {reason}: {' '.join(names)}")
    for item in outcomes:
        for fact, (ours, theirs) in item.unexplained.items():
            lines.append(f"FAILED {item.name} {item.vector.get('name', '')}: {fact}")
            lines += [f"  ours   {_short(ours)}", f"  theirs {_short(theirs)}"]
    return lines


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"


def _line(name: str, outcomes: list[Outcome]) -> str:
    passed, failed, departed = (
        count(outcomes, verdict) for verdict in (Verdict.PASSED, Verdict.FAILED, Verdict.DEPARTED)
    )
    return f"{name:30} {passed:7} {failed:7} {departed:9}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("tokenizer", type=Path)
    given = parser.parse_args()
    outcomes = replay(given.vectors, given.tokenizer)
    sys.stdout.write("\n".join(report(outcomes)) + "\n")
    return 1 if count(outcomes, Verdict.FAILED) else 0


if __name__ == "__main__":
    sys.exit(main())
