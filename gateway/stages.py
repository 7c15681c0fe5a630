"""The stages as the gateway sees them, and what they have loaded."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from common.errors import AceError, Kind
from gateway.pool import Pool, StageKind
from gateway.settings import Settings

logger = logging.getLogger(__name__)

READY_POLL_S = 0.05

RENDERS_AHEAD = 2
"""A replica is given so many times the songs that it renders at once: the next are there when it ends."""

MOST_ASIDE = 16
"""Songs at a DiT replica that are only read: each holds its sound there, 92 MB for four minutes."""

GUIDED_ROWS = 2
"""A guided request takes two rows of the language model's batch, any other takes one."""

TEXT_WORK_S = 30.0
"""A plan or a description is as much work for the language model as the codes of so many seconds."""


@dataclass(frozen=True, slots=True)
class Info:
    """What both stages have loaded."""

    lm: lm_pb.GetModelInfoResponse | AceError
    """Why it cannot be asked, for requests that can do without it."""
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


def _renders(info: dit_pb.GetModelInfoResponse) -> int:
    return RENDERS_AHEAD * max(1, info.max_song_count)


LM: StageKind[lm_rpc.LmServiceStub, lm_pb.GetModelInfoResponse] = StageKind(
    "lm",
    lm_pb.DESCRIPTOR.services_by_name["LmService"].full_name,
    lm_rpc.LmServiceStub,
    lambda lm, timeout_s: lm.GetModelInfo(lm_pb.GetModelInfoRequest(), timeout=timeout_s),
    room=lambda info: info.max_row_count,
    room_aside=lambda info: 0,
    own_fields=("max_row_count", "max_queued_count"),
)
DIT: StageKind[dit_rpc.DitServiceStub, dit_pb.GetModelInfoResponse] = StageKind(
    "dit",
    dit_pb.DESCRIPTOR.services_by_name["DitService"].full_name,
    dit_rpc.DitServiceStub,
    lambda dit, timeout_s: dit.GetModelInfo(dit_pb.GetModelInfoRequest(), timeout=timeout_s),
    room=_renders,
    # As much as it is given stays free, for uploads, for checks, and for another gateway.
    room_aside=lambda info: min(MOST_ASIDE, max(0, info.max_call_count - 2 * _renders(info))),
    own_fields=("max_queued_count", "max_song_count", "max_call_count"),
)


class Stages:
    """The language model and the diffusion, each in one or several replicas."""

    def __init__(self, settings: Settings, connect: Callable[[str], grpc.aio.Channel]) -> None:
        self.lm = Pool(LM, settings.lm_address, connect, settings.info_timeout_s)
        self.dit = Pool(DIT, settings.dit_address, connect, settings.info_timeout_s)

    async def __aenter__(self) -> "Stages":
        await self.lm.__aenter__()
        await self.dit.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self.dit.__aexit__(*failure)
        await self.lm.__aexit__(*failure)

    def info(self) -> Info:
        """What both stages have loaded.

        Raises `AceError`: UNAVAILABLE if the diffusion is not there, INTERNAL if the stages
        have models that do not belong together.
        """
        lm, dit = self.lm_info_or_error(), self.dit.info()
        if not isinstance(lm, AceError):
            _check_code_books(lm, dit)
        return Info(lm, dit)

    def lm_info(self, name: str) -> lm_pb.GetModelInfoResponse:
        """What the language model is. Raises `AceError`: UNAVAILABLE, or NOT_FOUND for another name."""
        return _named(self.lm.info(), name)

    async def until_ready(self) -> None:
        """Return when both stages can be asked for songs; wait as long as it takes."""
        waiting = ""
        while True:
            try:
                self.info().lm_model("")
            except AceError as error:
                if error.message != waiting:
                    waiting = error.message
                    # Replicas come by themselves; stages that do not fit each other need somebody.
                    level = logging.INFO if error.kind is Kind.UNAVAILABLE else logging.ERROR
                    logger.log(level, "waiting: %s", waiting)
                await asyncio.sleep(READY_POLL_S)
            else:
                return

    def lm_info_or_error(self) -> lm_pb.GetModelInfoResponse | AceError:
        """What the language model is, or why it cannot be asked."""
        try:
            return self.lm.info()
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
