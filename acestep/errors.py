"""What a failed call tells, read from its `google.rpc.Status`."""

from dataclasses import dataclass
from typing import Protocol

import grpc

from acestep import rich_status

RECEIVED = "; received "
"""Stands between the rule and the value in a field violation's description."""

LOST_BY_GRPC = "Internal error from Core"
"""What `grpc.aio` makes of an answer that comes while it still sends (grpcio 1.85); the answer is gone."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that the server refused."""

    field: str
    rule: str
    value: str

    def __str__(self) -> str:
        return f"{self.field} {self.rule}{RECEIVED}{self.value}"


class FailedCall(Protocol):
    """The exception of a failed call, of either kind of gRPC stub."""

    def code(self) -> grpc.StatusCode: ...

    def details(self) -> str | None: ...

    def trailing_metadata(self) -> object: ...


def answer_lost(failed: FailedCall) -> bool:
    """Whether the other side did answer, and nobody knows what: asking again may tell."""
    return failed.code() is grpc.StatusCode.INTERNAL and failed.details() == LOST_BY_GRPC


class ServiceError(Exception):
    """A call to a service failed.

    `reason` is a stable name that programs may branch on; `str()` is for people.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = code.name
        self.facts: dict[str, str] = {}
        self.violations: tuple[FieldViolation, ...] = ()
        self.retry_after_s: float | None = None
        self.request_id = ""

    @classmethod
    def from_rpc(cls, failed: FailedCall) -> "ServiceError":
        """Read everything that `failed` carries."""
        error = cls(failed.code(), failed.details() or failed.code().name)
        trailers = dict(failed.trailing_metadata() or ())  # type: ignore[call-overload]
        error.request_id = str(trailers.get("x-request-id", ""))
        details = rich_status.read(trailers.get(rich_status.METADATA_KEY, b""))
        error.reason = details.reason or error.reason
        error.facts = details.facts
        error.retry_after_s = details.retry_after_s
        error.violations = tuple(
            FieldViolation(field, *description.partition(RECEIVED)[::2])
            for field, description in details.violations
        )
        return error
