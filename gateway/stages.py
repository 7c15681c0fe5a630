"""The stages as the gateway sees them: streams that end with an `AceError` where they fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from common.errors import AceError, Kind
from common.status import from_rpc_error
from common.telemetry import REQUEST_ID, REQUEST_ID_HEADER

T = TypeVar("T")

STAGE_DOWN_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class Info:
    """What both stages have loaded, as they said it just now."""

    lm: lm_pb.GetModelInfoResponse | AceError
    """The error that it answered with, for requests that can do without it."""
    dit: dit_pb.GetModelInfoResponse

    def dit_model(self, name: str) -> dit_pb.DitModel:
        """The named model, or the default one for an empty name. Raises `AceError` (NOT_FOUND)."""
        for model in self.dit.models:
            if name in ("", model.model.name):
                return model
        raise _not_loaded("model", name, [model.model.name for model in self.dit.models])

    def lm_model(self, name: str) -> lm_pb.GetModelInfoResponse:
        """The loaded language model, if `name` is its name or empty.

        Raises `AceError`: UNAVAILABLE if the stage did not answer, NOT_FOUND for another name.
        """
        if isinstance(self.lm, AceError):
            raise self.lm
        return _named(self.lm, name)


def _named(lm: lm_pb.GetModelInfoResponse, name: str) -> lm_pb.GetModelInfoResponse:
    if name not in ("", lm.model.name):
        raise _not_loaded("lm_model", name, [lm.model.name])
    return lm


def _not_loaded(field: str, name: str, loaded: list[str]) -> AceError:
    return AceError(
        Kind.NOT_FOUND,
        "MODEL_NOT_FOUND",
        f"{field} must be one of {', '.join(loaded)}; received {name[:64]!r}",
        field=field,
        rule=f"must be one of {', '.join(loaded)}",
        value=name[:64],
    )


class Stages:
    """The language model and the diffusion, over channels that stay open."""

    def __init__(
        self, lm_channel: grpc.aio.Channel, dit_channel: grpc.aio.Channel, info_timeout_s: float
    ) -> None:
        self.lm = lm_rpc.LmServiceStub(lm_channel)
        self.dit = dit_rpc.DitServiceStub(dit_channel)
        self._info_timeout_s = info_timeout_s

    async def info(self) -> Info:
        """Ask both stages at once.

        Raises `AceError`: UNAVAILABLE if the diffusion does not answer, PRECONDITION if the
        stages have models that do not belong together.
        """
        lm, dit = await asyncio.gather(
            self._lm_info_or_error(),
            answer(
                "dit", self.dit.GetModelInfo(dit_pb.GetModelInfoRequest(), timeout=self._info_timeout_s)
            ),
        )
        if not isinstance(lm, AceError):
            _check_code_books(lm, dit)
        return Info(lm, dit)

    async def lm_info(self, name: str) -> lm_pb.GetModelInfoResponse:
        """Ask the language model alone. Raises `AceError`: UNAVAILABLE, or NOT_FOUND for another name."""
        call = self.lm.GetModelInfo(lm_pb.GetModelInfoRequest(), timeout=self._info_timeout_s)
        return _named(await answer("lm", call), name)

    async def _lm_info_or_error(self) -> lm_pb.GetModelInfoResponse | AceError:
        try:
            return await self.lm_info("")
        except AceError as error:
            return error


def _check_code_books(lm: lm_pb.GetModelInfoResponse, dit: dit_pb.GetModelInfoResponse) -> None:
    for model in dit.models:
        if model.code_count != lm.code_count:
            raise AceError(
                Kind.INTERNAL,
                "CODE_BOOK_MISMATCH",
                f"the code book of {lm.model.name} has {lm.code_count} codes,"
                f" that of {model.model.name} has {model.code_count}",
            )


def forwarded() -> tuple[tuple[str, str], ...]:
    """Metadata that makes a stage's logs carry the request's id."""
    return ((REQUEST_ID_HEADER, REQUEST_ID.get()),)


async def answer(stage: str, call: Awaitable[T]) -> T:
    """Await a unary call; raises `AceError`."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise stage_error(stage, error) from None
    except asyncio.CancelledError:
        raise _broken_off(stage) from None


async def events(stage: str, call: Any) -> AsyncIterator[Any]:
    """The events of a streaming call; raises `AceError`. Leaving early cancels the call."""
    try:
        async for event in call:
            yield event
    except grpc.aio.AioRpcError as error:
        raise stage_error(stage, error) from None
    except asyncio.CancelledError:
        raise _broken_off(stage) from None
    finally:
        call.cancel()


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


def closing_events(stage: str, call: Any) -> aclosing[Any]:
    """`async with closing_events(...) as stream`: the call is cancelled when the block is left."""
    return aclosing(events(stage, call))


def stage_error(stage: str, error: grpc.aio.AioRpcError) -> AceError:
    """What a failed call to `stage` means to the gateway's caller."""
    code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return AceError(
            Kind.TIMEOUT, "STAGE_TIMEOUT", f"the {stage} stage took longer than it may", stage=stage
        )
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        # A stage that stops while it works cancels its calls; to the caller that is the same.
        return AceError(
            Kind.UNAVAILABLE,
            "STAGE_UNAVAILABLE",
            f"the {stage} stage is not reachable or not ready",
            retry_after_s=STAGE_DOWN_RETRY_S,
            stage=stage,
        )
    known = from_rpc_error(error)
    if known.kind is Kind.INTERNAL:
        return AceError(Kind.INTERNAL, "STAGE_FAILED", f"the {stage} stage failed", stage=stage)
    return known
