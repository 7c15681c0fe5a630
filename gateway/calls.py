"""Calls to a stage that end with an `AceError` where they fail."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc

from acestep.errors import answer_lost
from common import tracing
from common.errors import AceError, Kind
from common.status import from_rpc_error
from common.telemetry import REQUEST_ID, REQUEST_ID_HEADER
from gateway.metrics import STAGE_SECONDS

logger = logging.getLogger(__name__)

T = TypeVar("T")

STAGE_DOWN_RETRY_S = 5.0
ANSWER_LOST = "STAGE_ANSWER_LOST"
STALLED = "STALLED"
"""Reason of a language model that writes for nobody any more."""


def forwarded() -> tuple[tuple[str, str], ...]:
    """Metadata that makes a stage's logs and spans carry the request's id and trace."""
    return ((REQUEST_ID_HEADER, REQUEST_ID.get()), *tracing.headers())


async def answer(stage: str, call: Awaitable[T]) -> T:
    """Await a unary call; raises `AceError`."""
    try:
        with _measured(stage):
            return await call
    except grpc.aio.AioRpcError as error:
        raise stage_error(stage, error) from None
    except asyncio.CancelledError:
        raise _broken_off(stage) from None


async def events(stage: str, call: Any) -> AsyncGenerator[Any, None]:
    """The events of a streaming call; raises `AceError`. Leaving early cancels the call."""
    try:
        with _measured(stage):
            async for event in call:
                yield event
    except grpc.aio.AioRpcError as error:
        raise stage_error(stage, error) from None
    except asyncio.CancelledError:
        raise _broken_off(stage) from None
    finally:
        call.cancel()


@contextmanager
def _measured(stage: str) -> Iterator[None]:
    started, code = time.monotonic(), "OK"
    try:
        yield
    except grpc.aio.AioRpcError as error:
        code = error.code().name
        raise
    except BaseException:  # left early, or cancelled
        code = "CANCELLED"
        raise
    finally:
        STAGE_SECONDS.labels(stage, code).observe(time.monotonic() - started)


def _broken_off(stage: str) -> BaseException:
    """What a cancelled call to `stage` means.

    gRPC cancels a call by itself if what it sends cannot be read, such as an upload that is gone.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return asyncio.CancelledError()
    return AceError(
        Kind.INTERNAL,
        "REQUEST_BROKE_OFF",
        f"what the {stage} stage was to be sent could not be read",
        stage=stage,
    )


def unavailable(stage: str) -> AceError:
    """The error for a stage that no replica can be asked of."""
    return AceError(
        Kind.UNAVAILABLE,
        "STAGE_UNAVAILABLE",
        f"the {stage} stage is not reachable or not ready",
        retry_after_s=STAGE_DOWN_RETRY_S,
        stage=stage,
    )


def stage_error(stage: str, error: grpc.aio.AioRpcError) -> AceError:
    """What a failed call to `stage` means to the gateway's caller."""
    code = error.code()
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        # A stage that stops while it works cancels its calls; to the caller that is the same.
        return unavailable(stage)
    if answer_lost(error):
        return AceError(
            Kind.UNAVAILABLE,
            ANSWER_LOST,
            f"the {stage} stage broke off while it was sent the request; retry later",
            retry_after_s=STAGE_DOWN_RETRY_S,
            stage=stage,
        )
    known = from_rpc_error(error)
    if known.kind is Kind.TIMEOUT and known.reason != STALLED:
        return AceError(
            Kind.TIMEOUT, "STAGE_TIMEOUT", f"the {stage} stage took longer than it may", stage=stage
        )
    if known.kind is Kind.INTERNAL:
        logger.error("the %s stage failed with %s: %s", stage, code.name, error.details())
        return AceError(Kind.INTERNAL, "STAGE_FAILED", f"the {stage} stage failed", stage=stage)
    return known
