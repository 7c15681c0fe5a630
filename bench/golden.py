"""Replay recorded cases of the reference through the DiT service's own code, a line for each.

`python -m bench.golden [directory]`: any directory in the form of `tests/golden/dit`, checkpoints
included. Ends with 1 if a case is further from the reference than it may be.
"""

import sys
from pathlib import Path

import torch

from tests.dit.departures import DEPARTURES, Verdict, judge
from tests.dit.golden import ROOT, case, case_names
from tests.dit.replay import Stand


def line(verdict: Verdict) -> str:
    if verdict.not_offered:
        return f"{verdict.case:34} not offered  {verdict.not_offered}"
    worst = verdict.worst
    how = "ok" if verdict.passes else "FAILS"
    what = f"{worst.size:9.2e} of {worst.allowed:7.1e}  {worst.what}"
    departs = f"  (without our departure: {verdict.departure})" if verdict.departure else ""
    return f"{verdict.case:34} {how:11}  {what}{departs}"


@torch.inference_mode()
def main(root: Path) -> int:
    torch.set_num_threads(1)  # the networks are tiny: more threads only wait for each other
    stand = Stand.load(root)
    verdicts = []
    for name in case_names(root):
        verdicts.append(judge(stand, case(name, root)))
        print(line(verdicts[-1]), flush=True)
    departed = {verdict.departure for verdict in verdicts}
    for departure in DEPARTURES:
        if departure.name in departed:
            print(f"\n{departure.name}: {departure.reason}")
    failed = sum(not verdict.passes for verdict in verdicts)
    offered = sum(not verdict.not_offered for verdict in verdicts)
    print(f"\n{len(verdicts)} cases: {offered - failed} ok, {failed} failed,", end=" ")
    print(f"{len(verdicts) - offered} not offered")
    return 1 if failed or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
