"""`AceError` to and from `google.rpc.Status`: the only place that knows both."""

from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from acestep.errors import RECEIVED, ServiceError
from common.errors import AceError, Kind, Violation

DOMAIN = "acestep"

CODES = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Kind.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.UNIMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
    Kind.TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    Kind.CANCELLED: grpc.StatusCode.CANCELLED,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
}
KINDS = {code: kind for kind, code in CODES.items()}


def to_status(error: AceError) -> Any:
    """The gRPC status of `error`, with all the details of `google.rpc` that apply."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.facts)
    ]
    if error.violations:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=violation.field, description=f"{violation.rule}{RECEIVED}{violation.value}"
                    )
                    for violation in error.violations
                ]
            )
        )
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if error.quota is not None:
        violation = error_details_pb2.QuotaFailure.Violation(
            subject=error.quota.subject, description=error.quota.limit
        )
        details.append(error_details_pb2.QuotaFailure(violations=[violation]))
    packed = [any_pb2.Any() for _ in details]
    for box, detail in zip(packed, details, strict=True):
        box.Pack(detail)
    return rpc_status.to_status(
        status_pb2.Status(code=CODES[error.kind].value[0], message=error.message, details=packed)
    )


def from_rpc_error(failed: grpc.aio.AioRpcError) -> AceError:
    """Read a failed call back into the error that the other side raised.

    A status that our services never send on purpose becomes INTERNAL.
    """
    error = ServiceError.from_rpc(failed)
    return AceError(
        KINDS.get(error.code, Kind.INTERNAL),
        error.reason,
        error.message,
        violations=tuple(Violation(item.field, item.rule, item.value) for item in error.violations),
        retry_after_s=error.retry_after_s,
        quota=None,
        **error.facts,
    )
