"""Fixtures: a client of a real gRPC server, over an engine of the test's choice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import grpc
import pytest
from prometheus_client import REGISTRY

from acestep.lm.v1 import lm_service_pb2_grpc
from lm_service import metrics
from lm_service.admission import Admission, Room
from lm_service.servicer import Service
from tests.lm.fakes import FakeEngine
from tests.lm.stand import listening, service

Connector = Callable[..., AbstractAsyncContextManager[lm_service_pb2_grpc.LmServiceStub]]


@pytest.fixture
def connect() -> Connector:
    @asynccontextmanager
    async def connected(
        engine: FakeEngine | None,
        *,
        max_rows: int = 8,
        max_queued: int = 4,
        stall_s: float = 30.0,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> AsyncIterator[lm_service_pb2_grpc.LmServiceStub]:
        """No engine means that it is still loading."""
        loaded: Service | None = None
        after = AsyncExitStack()
        if engine is not None:
            admission = Admission(Room(max_rows, engine.cache_token_count), max_queued)
            collector = metrics.watch(engine, admission)
            after.callback(REGISTRY.unregister, collector)
            loaded = service(engine, admission, stall_s=stall_s, pause=pause)
        async with (
            after,
            listening(loaded) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            yield lm_service_pb2_grpc.LmServiceStub(channel)

    return connected
