"""Replay cases against a deployment, one after another."""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import grpc

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from acestep_serve.conformance.calls import as_json, made
from acestep_serve.conformance.case_files import Case, Step, filled
from acestep_serve.conformance.conditions import BrokenCase, complaints

PAUSE_S = 0.2
"""Between the tries of a step that has time."""


class Result(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case."""

    case: Case
    result: Result
    seconds: float
    complaints: tuple[str, ...] = ()
    """What did not hold: of the server if the case failed, of what it requires if it was skipped."""


class Deployment:
    """A gateway whose cases are replayed over `channel`."""

    def __init__(self, channel: grpc.Channel, token: str, timeout_s: float) -> None:
        """Raises `grpc.RpcError` if it does not say what it can do."""
        self._channel = channel
        self._metadata = {"authorization": f"Bearer {token}"} if token else {}
        self._timeout_s = timeout_s
        ask = rpc.MusicServiceStub(channel).GetCapabilities
        metadata = tuple(self._metadata.items())
        offered = ask(pb.GetCapabilitiesRequest(), timeout=timeout_s, metadata=metadata)
        self.server_version: str = offered.server_version
        self._known = {"token": bool(token), "capabilities": as_json(offered)}

    def replay(self, cases: Iterable[Case]) -> Iterator[Outcome]:
        for case in cases:
            began = time.monotonic()
            try:
                result, notes = self._replayed(case)
            except BrokenCase as error:
                result, notes = Result.FAILED, [f"the case is broken: {error}"]
            yield Outcome(case, result, time.monotonic() - began, tuple(notes))

    def _replayed(self, case: Case) -> tuple[Result, list[str]]:
        variables: dict[str, Any] = {**self._known, "unique": uuid.uuid4().hex}
        missing = complaints(variables, case.requires)
        if missing:
            return Result.SKIPPED, [str(each) for each in missing]
        for number, step in enumerate(case.steps, 1):
            unmet = self._unmet(step, variables, case.folder)
            if unmet:
                return Result.FAILED, [f"step {number}, {step.method}: {each}" for each in unmet]
        return Result.PASSED, []

    def _unmet(self, step: Step, variables: dict[str, Any], folder: Path) -> list[str]:
        """What did not hold. Adds to `variables` what the step saves."""
        until = time.monotonic() + step.within_seconds
        while True:
            document = self._call(_filled(step, variables, folder))
            unmet = complaints(document, filled(step.expect, variables, folder))
            if not unmet or time.monotonic() >= until:
                break
            time.sleep(PAUSE_S)
        if step.save:
            variables[step.save] = document
        notes = [str(each) for each in unmet]
        if unmet and "error" in document:
            notes.append(f"the server said: {document['error']['message']}")
        return notes

    def _call(self, step: Step) -> dict[str, Any]:
        metadata = self._metadata | dict(step.metadata)
        return made(self._channel, step, metadata, step.deadline_seconds or self._timeout_s)


def _filled(step: Step, variables: Mapping[str, Any], folder: Path) -> Step:
    """`step` with what its call sends."""
    sent = {name: getattr(step, name) for name in ("request", "requests", "metadata")}
    return replace(step, **filled(sent, variables, folder))
