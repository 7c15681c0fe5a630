"""Requests and answers that the tests of `LmService` share."""

from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY

from acestep.lm.v1 import lm_service_pb2 as pb
from acestep.music.v1.music_pb2 import LmSampling
from common.errors import AceError
from common.status import from_rpc_error


def plan(seed: int | None = 1, **fields: Any) -> pb.PlanRequest:
    fields = {"caption": "calm piano", "lyrics": "la la"} | fields
    return pb.PlanRequest(sampling=LmSampling(seed=seed), **fields)


def codes(seed: int | None = 1, **fields: Any) -> pb.GenerateCodesRequest:
    given: dict[str, Any] = {"caption": "calm piano", "duration_seconds": 2.0} | fields
    return pb.GenerateCodesRequest(sampling=LmSampling(seed=seed), **given)


async def all_of(call: Any) -> list[Any]:
    return [event async for event in call]


async def error_of(call: Any) -> tuple[grpc.StatusCode, AceError]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await all_of(call)
    return caught.value.code(), from_rpc_error(caught.value)


def running(phase: str) -> float:
    return REGISTRY.get_sample_value("acestep_lm_requests_running", {"phase": phase}) or 0.0
