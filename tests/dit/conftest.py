"""Fixtures: the golden checkpoints, read once by the real loader, and servers over any engine."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing

import grpc
import pytest
import torch

from acestep.dit.v1 import dit_service_pb2_grpc as dit_grpc
from common.revision import of_checkpoint
from common.server import serving
from common.slot import Slot
from dit_service.engine import Engine
from dit_service.lane import Lane
from dit_service.networks import load_vae
from dit_service.servicer import DitServicer, Limits
from dit_service.text_encoder import TextEncoder
from dit_service.vae import Vae
from tests.dit.golden import CHECKPOINTS

CPU = torch.device("cpu")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="session")
def vae() -> Vae:
    folder = CHECKPOINTS / "vae"
    return Vae(of_checkpoint(folder), load_vae(folder, CPU, torch.float32))


@pytest.fixture(scope="session")
def text_encoder() -> TextEncoder:
    return TextEncoder.load(CHECKPOINTS / "Qwen3-Embedding-0.6B", CPU, torch.float32)


DitConnector = Callable[..., AbstractAsyncContextManager[dit_grpc.DitServiceStub]]


@pytest.fixture
def connect() -> DitConnector:
    """A real server on a free port, over an engine of the test's choice, and a client of it."""

    @asynccontextmanager
    async def connected(
        engine: Engine | None,
        max_queued: int = 8,
        max_calls: int = 16,
        max_upload_bytes: int = 4 * 1024 * 1024,
        max_together: int = 1,
    ) -> AsyncIterator[dit_grpc.DitServiceStub]:
        lane, slot = Lane(max_queued, max_together), Slot[Engine]("the DiT service")
        if engine is not None:
            slot.fill(engine)
        servicer = DitServicer(slot, lane, Limits(max_queued, max_calls, max_upload_bytes))
        with closing(lane):
            async with (
                serving(
                    "localhost:0",
                    lambda server: dit_grpc.add_DitServiceServicer_to_server(servicer, server),
                    [],
                    grace_s=0,
                ) as server,
                grpc.aio.insecure_channel(f"localhost:{server.port}") as channel,
            ):
                yield dit_grpc.DitServiceStub(channel)

    return connected
