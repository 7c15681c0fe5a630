"""What a failed call tells, read from its `google.rpc.Status`."""

from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

RECEIVED = "; received "
"""Stands between the rule and the value in a field violation's description."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that the server refused."""

    field: str
    rule: str
    value: str


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
    def from_rpc(cls, failed: grpc.aio.AioRpcError) -> "ServiceError":
        """Read everything that `failed` carries."""
        error = cls(failed.code(), failed.details() or failed.code().name)
        trailers = {key: value for key, value in failed.trailing_metadata() or ()}
        error.request_id = str(trailers.get("x-request-id", ""))
        status = rpc_status.from_call(failed)
        for box in status.details if status is not None else ():
            error._read(box)
        return error

    def _read(self, box: object) -> None:
        info = error_details_pb2.ErrorInfo()
        bad = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if box.Unpack(info):  # type: ignore[attr-defined]
            self.reason, self.facts = info.reason, dict(info.metadata)
        elif box.Unpack(bad):  # type: ignore[attr-defined]
            self.violations = tuple(
                FieldViolation(item.field, *item.description.partition(RECEIVED)[::2])
                for item in bad.field_violations
            )
        elif box.Unpack(retry):  # type: ignore[attr-defined]
            self.retry_after_s = retry.retry_delay.ToMilliseconds() / 1000
