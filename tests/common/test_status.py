"""An `AceError` crosses a real gRPC connection and arrives as it was raised."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest

from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.errors import ServiceError
from acestep.lm.v1 import lm_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2_grpc as rpc
from common.errors import AceError, Kind, invalid
from common.health import is_serving
from common.server import LIVENESS, serving
from common.status import from_rpc_error


class Failing(rpc.LmServiceServicer):
    """Raises what the test put there, before or after the first event of a stream."""

    def __init__(self, error: Exception, after_events: int = 0) -> None:
        self.error = error
        self.after_events = after_events

    async def GetModelInfo(self, request: pb.GetModelInfoRequest, context: Any) -> pb.GetModelInfoResponse:
        raise self.error

    async def Plan(self, request: pb.PlanRequest, context: Any) -> AsyncIterator[pb.PlanResponse]:
        for _ in range(self.after_events):
            yield pb.PlanResponse()
        raise self.error


async def failure(servicer: Failing) -> list[AceError]:
    """What a client of `servicer` sees: of a unary call, and of a stream."""
    seen = []
    async with (
        serving("localhost:0", partial(rpc.add_LmServiceServicer_to_server, servicer), [], 0) as server,
        grpc.aio.insecure_channel(f"localhost:{server.port}") as channel,
    ):
        stub = rpc.LmServiceStub(channel)
        for call in (stub.GetModelInfo(pb.GetModelInfoRequest()), stub.Plan(pb.PlanRequest())):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                if isinstance(call, grpc.aio.UnaryUnaryCall):
                    await call
                else:
                    [event async for event in call]
            seen.append(from_rpc_error(caught.value))
    return seen


async def test_a_bad_field_arrives_with_field_rule_and_value() -> None:
    for error in await failure(Failing(invalid("bpm", "must be within [30, 300]", 29), after_events=1)):
        assert error.kind is Kind.INVALID
        assert error.reason == "FIELD_INVALID"
        assert [str(v) for v in error.violations] == ["bpm must be within [30, 300]; received 29"]


async def test_an_overload_says_when_to_come_again() -> None:
    overloaded = AceError(Kind.OVERLOADED, "QUEUE_FULL", "4 requests wait", retry_after_s=2.5, waiting=4)

    for error in await failure(Failing(overloaded)):
        assert (error.kind, error.reason) == (Kind.OVERLOADED, "QUEUE_FULL")
        assert error.retry_after_s == 2.5
        assert error.facts == {"waiting": "4"}


async def test_an_error_carries_the_id_that_the_server_logs() -> None:
    server = serving(
        "localhost:0", partial(rpc.add_LmServiceServicer_to_server, Failing(KeyError())), [], 0
    )
    async with server as started, grpc.aio.insecure_channel(f"localhost:{started.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            call = rpc.LmServiceStub(channel).GetModelInfo(
                pb.GetModelInfoRequest(), metadata=(("x-request-id", "r-17"),)
            )
            await call

    assert ServiceError.from_rpc(caught.value).request_id == "r-17"


async def test_bytes_that_are_no_message_are_refused_as_such() -> None:
    register = partial(rpc.add_LmServiceServicer_to_server, Failing(KeyError()))
    async with (
        serving("localhost:0", register, [], grace_s=0) as server,
        grpc.aio.insecure_channel(f"localhost:{server.port}") as channel,
    ):
        for method in ("GetModelInfo", "Plan"):
            raw: Any = channel.unary_stream
            call = raw(f"/acestep.lm.v1.LmService/{method}")(b"\x0a\xff\xff")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                [event async for event in call]
            error = from_rpc_error(caught.value)
            assert (error.kind, error.reason) == (Kind.INVALID, "MESSAGE_MALFORMED")


async def test_a_bug_is_internal_and_tells_the_client_nothing(caplog: pytest.LogCaptureFixture) -> None:
    for error in await failure(Failing(RuntimeError("CUDA error at 0x7f00"))):
        assert error.kind is Kind.INTERNAL
        assert "0x7f00" not in error.message

    assert "CUDA error at 0x7f00" in caplog.text


async def test_health_turns_serving_when_welcome_and_liveness_is_serving_throughout() -> None:
    async with serving("localhost:0", lambda server: None, ["acestep.x.v1.XService"], grace_s=0) as server:
        address = f"localhost:{server.port}"
        loading = [await asked(address, name) for name in ("", "acestep.x.v1.XService", LIVENESS)]
        server.welcome()
        ready = [await asked(address, name) for name in ("", "acestep.x.v1.XService", LIVENESS)]

    assert loading == [False, False, True]
    assert ready == [True, True, True]


async def asked(address: str, name: str) -> bool:
    return await asyncio.to_thread(is_serving, address, name)


class Endless(rpc.LmServiceServicer):
    """Sends more than any buffer holds, until it is ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def Plan(self, request: pb.PlanRequest, context: Any) -> AsyncIterator[pb.PlanResponse]:
        try:
            while True:
                yield pb.PlanResponse(field=pb.PlanField(value="x" * 256 * 1024))
        finally:
            self.ended.set()


async def test_a_client_that_stops_reading_loses_its_call() -> None:
    servicer = Endless()
    register = partial(rpc.add_LmServiceServicer_to_server, servicer)
    async with (
        serving("localhost:0", register, [], grace_s=0, caller_patience_s=0.2) as server,
        grpc.aio.insecure_channel(f"localhost:{server.port}") as channel,
    ):
        call = rpc.LmServiceStub(channel).Plan(pb.PlanRequest())
        await call.read()

        async with asyncio.timeout(10):
            await servicer.ended.wait()


class Gathering(dit_rpc.DitServiceServicer):
    """Waits for all that a call sends."""

    async def EncodeAudio(
        self, requests: AsyncIterator[dit_pb.EncodeAudioRequest], context: Any
    ) -> dit_pb.EncodeAudioResponse:
        return dit_pb.EncodeAudioResponse(duration_seconds=sum([1 async for _ in requests]))


async def test_a_client_that_stops_sending_loses_its_call() -> None:
    async def requests() -> AsyncIterator[dit_pb.EncodeAudioRequest]:
        yield dit_pb.EncodeAudioRequest()
        await asyncio.Event().wait()

    register = partial(dit_rpc.add_DitServiceServicer_to_server, Gathering())
    async with (
        serving("localhost:0", register, [], grace_s=0, caller_patience_s=0.2) as server,
        grpc.aio.insecure_channel(f"localhost:{server.port}") as channel,
        asyncio.timeout(10),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await dit_rpc.DitServiceStub(channel).EncodeAudio(requests())

    error = from_rpc_error(caught.value)
    assert (error.kind, error.reason) == (Kind.TIMEOUT, "CALLER_SILENT")
