"""The real gateway on a free port, over fake stages on real ports of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
import pytest

from acestep.client import Client, connect
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from common.server import serving
from gateway.door import Door
from gateway.generation import Workshop
from gateway.servicer import add_to
from gateway.settings import Settings
from gateway.stages import Stages
from gateway.uploads import Uploads
from tests.gateway.fakes import FakeDit, FakeLm


@dataclass(frozen=True, slots=True)
class World:
    """A client of a gateway, and the stages behind it."""

    client: Client
    lm: FakeLm
    dit: FakeDit
    address: str


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path) as world:
        yield world


@asynccontextmanager
async def opened_world(folder: Path, door: Door | None = None) -> AsyncIterator[World]:
    lm, dit = FakeLm(), FakeDit()
    async with (
        serving("localhost:0", partial(lm_rpc.add_LmServiceServicer_to_server, lm), [], 0) as lm_server,
        serving("localhost:0", partial(dit_rpc.add_DitServiceServicer_to_server, dit), [], 0) as dit_server,
        grpc.aio.insecure_channel(f"localhost:{lm_server.port}") as lm_channel,
        grpc.aio.insecure_channel(f"localhost:{dit_server.port}") as dit_channel,
    ):
        settings = Settings(max_songs=8, codes_timeout_s=20.0)
        workshop = Workshop(
            Stages(lm_channel, dit_channel, 5.0),
            Uploads(folder, 2_000_000, 4_000_000, 60.0),
            settings,
            door or Door(None),
        )
        async with (
            serving(
                "localhost:0", lambda server: add_to(server, workshop), [], 0, enter=workshop.door.enter
            ) as server,
            connect(f"localhost:{server.port}") as client,
        ):
            yield World(client, lm, dit, f"localhost:{server.port}")
