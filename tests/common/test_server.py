"""How a server starts and stops."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from common import ports
from common.health_service import HealthService
from common.server import LIVENESS, serving

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
GRACE_S = 600.0
"""Longer than a test may take."""


@pytest.mark.parametrize(
    ("name", "last"), [("", NOT_SERVING), ("a.Service", NOT_SERVING), (LIVENESS, SERVING)]
)
async def test_who_watches_health_is_told_the_last_of_it_and_does_not_hold_the_server(
    name: str, last: int
) -> None:
    told: list[int] = []

    async def watch(port: int, heard: asyncio.Event) -> None:
        async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
            request = health_pb2.HealthCheckRequest(service=name)
            async for answer in health_pb2_grpc.HealthStub(channel).Watch(request):
                told.append(answer.status)
                heard.set()

    async with serving("localhost:0", lambda server: None, ["a.Service"], GRACE_S) as server:
        server.welcome()
        heard = asyncio.Event()
        watcher = asyncio.create_task(watch(server.port, heard))
        await heard.wait()
    await watcher

    assert told[0] == SERVING
    assert told[-1] == last


async def test_a_watcher_that_leaves_does_not_disturb_the_others() -> None:
    async with serving("localhost:0", lambda server: None, ["a.Service"], GRACE_S) as server:
        server.welcome()
        async with grpc.aio.insecure_channel(f"localhost:{server.port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            leaving, staying = (stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(2))
            assert (await leaving.read()).status == (await staying.read()).status == SERVING

            leaving.cancel()
            server.refuse()

            assert (await staying.read()).status == NOT_SERVING


async def test_a_watcher_in_the_middle_of_a_message_hears_the_last_of_it_and_is_let_go() -> None:
    service, writes, taken = HealthService(), list[int](), asyncio.Event()
    service.set("", SERVING)

    class SlowCaller:
        async def write(self, answer: health_pb2.HealthCheckResponse) -> None:
            writes.append(answer.status)
            await taken.wait()

    watching = asyncio.create_task(service.Watch(health_pb2.HealthCheckRequest(), SlowCaller()))
    await asyncio.sleep(0)
    service.set("", NOT_SERVING)
    service.let_watchers_go()
    taken.set()
    async with asyncio.timeout(10):
        await watching

    assert writes == [SERVING, NOT_SERVING]


async def test_a_free_port_of_localhost_is_served_at_both_of_its_addresses() -> None:
    async with serving("localhost:0", lambda server: None, []) as server:
        server.welcome()
        for host in ("127.0.0.1", "[::1]") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
            async with grpc.aio.insecure_channel(f"{host}:{server.port}") as channel:
                answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
                assert answer.status == SERVING


async def test_the_health_of_a_service_that_is_not_here_is_not_found() -> None:
    async with (
        serving("localhost:0", lambda server: None, ["a.Service"]) as server,
        grpc.aio.insecure_channel(f"localhost:{server.port}") as channel,
    ):
        request = health_pb2.HealthCheckRequest(service="b.Service")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_pb2_grpc.HealthStub(channel).Check(request)

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "'b.Service'" in str(caught.value.details())


def test_free_ports_are_as_many_as_asked_for() -> None:
    assert len({*ports.free_ports_of_localhost(20)}) == 20


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_a_port_is_taken_at_ipv6_while_somebody_has_it_there() -> None:
    with socket.socket(socket.AF_INET6) as holder:
        holder.bind(("::1", 0))
        port = holder.getsockname()[1]
        assert ports.is_taken_at_ipv6(port)
    assert not ports.is_taken_at_ipv6(port)


async def test_a_caller_that_leaves_while_it_is_sent_something_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    left = asyncio.Event()
    sent = 0

    async def endless(request: bytes, context: object) -> AsyncIterator[bytes]:
        nonlocal sent
        try:
            while True:
                yield bytes(2**20)
                sent += 1
        finally:
            left.set()

    async def one_waits() -> None:
        """Return when messages fill what lies between caller and server, and one is being sent."""
        before = -1
        while sent > before:
            before = sent
            await asyncio.sleep(0.5)

    def register(server: grpc.aio.Server) -> None:
        method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(endless)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("a.Service", {"Send": method})]
        )

    async with (
        serving("localhost:0", register, ["a.Service"]) as server,
        grpc.aio.insecure_channel(f"localhost:{server.port}") as channel,
    ):
        send: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/a.Service/Send")
        call = send(b"")
        await call.read()
        async with asyncio.timeout(60):
            await one_waits()
            call.cancel()
            await left.wait()

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
