"""Fixtures: a real gRPC server on a free port, over an engine of the test's choice."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import grpc
import pytest
from prometheus_client import REGISTRY

from acestep.lm.v1 import lm_service_pb2_grpc
from common.server import serving
from common.slot import Slot
from lm_service import metrics
from lm_service.admission import Admission, Room
from lm_service.generation import Generations
from lm_service.prompt import PromptLayout
from lm_service.servicer import LmServicer, Service
from lm_service.song import Jobs
from tests.lm.fakes import FakeEngine

Connector = Callable[..., AbstractAsyncContextManager[lm_service_pb2_grpc.LmServiceStub]]


@pytest.fixture
def connect() -> Connector:
    @asynccontextmanager
    async def connected(
        engine: FakeEngine | None, *, max_rows: int = 8, max_queued: int = 4, stall_s: float = 30.0
    ) -> AsyncIterator[lm_service_pb2_grpc.LmServiceStub]:
        """No engine means that it is still loading."""
        slot: Slot[Service] = Slot("the language model")
        after = AsyncExitStack()
        if engine is not None:
            admission = Admission(Room(max_rows, engine.cache_token_count), max_queued)
            collector = metrics.watch(engine, admission)
            after.callback(REGISTRY.unregister, collector)
            jobs = Jobs(engine.model, max_text_tokens=900, layout=PromptLayout.OPEN_TURN)
            slot.fill(Service(Generations(engine, admission, stall_s), jobs))
        servicer = LmServicer(slot)
        async with (
            after,
            serving(
                "localhost:0",
                lambda server: lm_service_pb2_grpc.add_LmServiceServicer_to_server(servicer, server),
                service_names=[],
                grace_s=0,
            ) as server,
            grpc.aio.insecure_channel(f"localhost:{server.port}") as channel,
        ):
            yield lm_service_pb2_grpc.LmServiceStub(channel)

    return connected
