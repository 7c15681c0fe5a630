"""Failures in words for the `error` field of a result."""

import logging

import grpc

from acestep.errors import ServiceError
from acestep.upstream.names import Unusable, upstream_name

logger = logging.getLogger("acestep")


def explained(error: Exception) -> str:
    """Why something failed, with fields under upstream's names. What is unforeseen is logged."""
    if isinstance(error, ServiceError):
        return _explained(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if not isinstance(error, (Unusable, ValueError, OSError)):
        logger.error("unforeseen failure", exc_info=error)
    return str(error) or type(error).__name__


def _explained(error: ServiceError) -> str:
    message = error.message
    if error.violations:
        message = "; ".join(
            f"{upstream_name(item.field)} {item.rule}; received {item.value}" for item in error.violations
        )
    elif error.code is grpc.StatusCode.UNAVAILABLE and not error.facts:
        message = f"No gateway answers ({message}); start one with: acestep-serve up"
    if error.retry_after_s is not None:
        message += f"; try again in {error.retry_after_s:g} s"
    return message
