"""One wrapper around every call: errors become statuses, and each call is counted and logged once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, contextmanager, nullcontext
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from common.errors import AceError, Kind
from common.status import CODES, to_status
from common.telemetry import CALL_SECONDS, CALLS_RUNNING, REQUEST_ID, REQUEST_ID_HEADER, new_request_id
from common.tracing import call_span, ended

logger = logging.getLogger(__name__)

MAX_REQUEST_ID_CHARACTERS = 64
RETRY_PUSHBACK = "grpc-retry-pushback-ms"
LONGEST_PUSHBACK_S = 2.0
"""A client that waits longer by itself seems to hang: its caller is told at once, and may decide."""
OUR_FAULT = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)

Context = grpc.aio.ServicerContext[Any, Any]


Enter = Callable[[Mapping[str, str | bytes]], AbstractContextManager[None]]
"""Lets a call in by its metadata, and holds what it takes up until its end. Raises `AceError`."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Answers an `AceError` with its status, and anything unforeseen with a bare INTERNAL.

    Streaming methods must be async generators. A call ends if its client takes no message, or sends
    none that is waited for, for `caller_patience_s`: it holds memory, and a place in a queue.
    With `enter`, every call but those of health must be let in.
    """

    def __init__(self, caller_patience_s: float, enter: Enter | None = None) -> None:
        self._caller_patience_s = caller_patience_s
        self._enter = enter

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        # Health is infrastructure: it is open to all, raises no AceError, and probes fill logs.
        if handler is None or handler_call_details.method.startswith("/grpc.health."):
            return handler
        arity = f"{_arity(handler.request_streaming)}_{_arity(handler.response_streaming)}"
        guard = self._guard_stream if handler.response_streaming else self._guard_unary
        make = getattr(grpc, f"{arity}_rpc_method_handler")
        guarded: grpc.RpcMethodHandler[Any, Any] = make(
            guard(
                _parsing(handler, getattr(handler, arity), self._caller_patience_s),
                handler_call_details.method,
            ),
            None,  # parsed inside the guard, so that garbage is answered as such
            handler.response_serializer,
        )
        return guarded

    def _guard_unary(self, method: Callable[..., Awaitable[Any]], name: str) -> Any:
        async def guarded(request: Any, context: Context) -> Any:
            async with _answering(context, name, self._enter):
                return await method(request, context)

        return guarded

    def _guard_stream(self, method: Callable[..., AsyncGenerator[Any, None]], name: str) -> Any:
        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            async with (
                _answering(context, name, self._enter),
                aclosing(method(request, context)) as responses,
            ):
                async for response in responses:
                    with _patience(self._caller_patience_s):
                        yield response

        return guarded


def _parsing(
    handler: grpc.RpcMethodHandler[Any, Any], method: Callable[[Any, Context], Any], patience_s: float
) -> Callable[[Any, Context], Any]:
    """`method`, which takes messages, as one that takes their bytes."""
    parse = handler.request_deserializer
    if parse is None:  # reflection has none: it takes bytes
        return method
    if handler.request_streaming:
        return lambda requests, context: method(_Parsed(parse, requests, patience_s), context)
    return lambda request, context: method(_parsed(parse, request), context)


class _Parsed:
    """Messages read from their bytes. Raises `AceError`: INVALID for what is none, TIMEOUT for silence."""

    def __init__(
        self, parse: Callable[[bytes], Any], requests: AsyncIterator[bytes], patience_s: float
    ) -> None:
        self._parse = parse
        self._requests = requests
        self._patience_s = patience_s

    def __aiter__(self) -> _Parsed:
        return self

    async def __anext__(self) -> Any:
        try:
            async with asyncio.timeout(self._patience_s):
                request = await anext(self._requests)
        except TimeoutError:
            raise AceError(
                Kind.TIMEOUT, "CALLER_SILENT", f"no message came for {self._patience_s:g} s"
            ) from None
        return _parsed(self._parse, request)


def _parsed(parse: Callable[[bytes], Any], request: bytes) -> Any:
    try:
        return parse(request)
    except DecodeError:
        raise AceError(
            Kind.INVALID, "MESSAGE_MALFORMED", "the bytes received are no request message of this method"
        ) from None


def _arity(streaming: bool) -> str:
    return "stream" if streaming else "unary"


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Cancel the current call if the block takes longer."""
    task = asyncio.current_task()
    assert task is not None
    timer = asyncio.get_running_loop().call_later(seconds, task.cancel)
    try:
        yield
    finally:
        timer.cancel()


def _answer(error: AceError, request_id: str) -> Any:
    """The status of `error` with all trailers of the call: its own ones replace those set before."""
    status = to_status(error)
    trailers = (*status.trailing_metadata, (REQUEST_ID_HEADER, request_id))
    if error.retry_after_s is not None:
        # For gRPC's own retries, which know nothing of `RetryInfo`; a negative time ends them.
        wait_ms = round(error.retry_after_s * 1000) if error.retry_after_s <= LONGEST_PUSHBACK_S else -1
        trailers = (*trailers, (RETRY_PUSHBACK, str(wait_ms)))
    return status._replace(trailing_metadata=trailers)


@asynccontextmanager
async def _answering(context: Context, name: str, enter: Enter | None) -> AsyncIterator[None]:
    metadata: dict[str, str | bytes] = dict(context.invocation_metadata() or ())
    request_id = str(metadata.get(REQUEST_ID_HEADER) or new_request_id())[:MAX_REQUEST_ID_CHARACTERS]
    REQUEST_ID.set(request_id)
    context.set_trailing_metadata(((REQUEST_ID_HEADER, request_id),))
    with call_span(name, metadata, request_id) as span:
        started = time.monotonic()
        code = grpc.StatusCode.OK
        running = CALLS_RUNNING.labels(name)
        running.inc()
        try:
            with nullcontext() if enter is None else enter(metadata):
                yield
        except AceError as error:
            code = CODES[error.kind]
            if error.kind is Kind.INTERNAL:
                logger.error("%s failed: %s", name, error.reason)
            await context.abort_with_status(_answer(error, request_id))
        except grpc.aio.AbortError:  # answered already
            code = grpc.StatusCode.UNKNOWN
            raise
        except Exception:
            code = grpc.StatusCode.INTERNAL
            logger.exception("%s failed", name)
            bug = AceError(Kind.INTERNAL, "INTERNAL", "internal error; the server's log has the details")
            await context.abort_with_status(_answer(bug, request_id))
        except BaseException:  # the caller hung up, or its deadline passed
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            running.dec()
            elapsed = time.monotonic() - started
            ended(span, code.name, ours=code in OUR_FAULT)
            CALL_SECONDS.labels(name, code.name).observe(elapsed)
            logger.info("%s %s in %.3f s", name, code.name, elapsed)
