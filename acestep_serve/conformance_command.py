"""`acestep-serve conformance`: does a deployment do what every deployment must do?"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from rich.console import Console
from rich.markup import escape

from acestep.client.channel import warn_if_exposed
from acestep.client.synchronous import open_channel
from acestep.errors import ServiceError
from acestep_serve.access import ACCESS
from acestep_serve.conformance.case_files import FOLDER, Case, load
from acestep_serve.conformance.conditions import BrokenCase
from acestep_serve.conformance.runner import Deployment, Outcome, Result
from acestep_serve.console import (
    DEFAULT_ADDRESS,
    EXIT_FAILED,
    Address,
    AsJson,
    err,
    exit_codes,
    out,
    print_json,
)

STYLES = {Result.PASSED: "green", Result.FAILED: "red", Result.SKIPPED: "yellow"}


@dataclass(frozen=True, slots=True)
class Report:
    address: str
    server_version: str
    seconds: float
    outcomes: Sequence[Outcome]

    def counts(self) -> dict[str, int]:
        counted = Counter(outcome.result for outcome in self.outcomes)
        return {result.value: counted[result] for result in Result}

    def summary(self) -> str:
        counted = ", ".join(f"{count} {result}" for result, count in self.counts().items())
        return f"{counted} in {self.seconds:.1f} s at {self.address}, server {self.server_version}"

    def as_dict(self) -> dict[str, Any]:
        cases = [
            {
                "subject": outcome.case.subject,
                "name": outcome.case.name,
                "result": outcome.result.value,
                "seconds": round(outcome.seconds, 3),
                "complaints": list(outcome.complaints),
            }
            for outcome in self.outcomes
        ]
        return {
            "address": self.address,
            "server_version": self.server_version,
            "seconds": round(self.seconds, 3),
            **self.counts(),
            "cases": cases,
        }


def conformance(
    *,
    address: Address = DEFAULT_ADDRESS,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Deadline of a call that has none, in seconds.")
    ] = 300.0,
    only: Annotated[
        str, typer.Option("--only", help="Cases whose `subject: name` holds this text.", show_default=False)
    ] = "",
    cases: Annotated[
        Path, typer.Option("--cases", help="Folder with the cases.", show_default="those of this version")
    ] = FOLDER,
    as_json: AsJson = False,
) -> None:
    """Replay the conformance cases against a deployment; exit code 1 if it fails one."""
    try:
        chosen = [case for case in load(cases) if only in title(case)]
    except BrokenCase as error:
        raise typer.BadParameter(str(error)) from None
    if not chosen:
        raise typer.BadParameter(f"no case holds {only!r}")
    with exit_codes(address):
        report = _replayed(address, timeout, chosen, err if as_json else out)
    if as_json:
        print_json(report.as_dict())
    else:
        out.print(report.summary())
    if report.counts()[Result.FAILED]:
        raise typer.Exit(EXIT_FAILED)


def title(case: Case) -> str:
    return f"{case.subject}: {case.name}"


def _replayed(address: str, timeout_s: float, cases: Sequence[Case], console: Console) -> Report:
    access, began, outcomes = ACCESS.get(), time.monotonic(), []
    warn_if_exposed(address, access.tls, access.token)
    with open_channel(address, access.tls) as channel:
        try:
            deployment = Deployment(channel, access.token, timeout_s)
        except grpc.RpcError as error:
            raise ServiceError.from_rpc(error) from None
        for outcome in deployment.replay(cases):
            outcomes.append(outcome)
            _show(outcome, console)
    return Report(address, deployment.server_version, time.monotonic() - began, outcomes)


def _show(outcome: Outcome, console: Console) -> None:
    style = STYLES[outcome.result]
    console.print(f"[{style}]{outcome.result:7}[/] {outcome.seconds:6.2f} s  {escape(title(outcome.case))}")
    for complaint in outcome.complaints:
        console.print(f"{'':19}{escape(complaint)}")
