"""The real gateway on a free port, over fake stages on real ports of their own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from acestep.client import Client, connect
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from common.server import Server, serving
from gateway.door import Door
from gateway.generation import Workshop
from gateway.pool import StageKind
from gateway.servicer import add_to
from gateway.settings import Settings
from gateway.stages import DIT, LM, Stages
from gateway.uploads import Uploads
from tests.gateway.fakes import FakeDit, FakeLm


@dataclass(frozen=True, slots=True)
class World:
    """A client of a gateway, and the stages behind it."""

    client: Client
    lm: FakeLm
    dit: FakeDit
    address: str
    lm_server: Server
    dit_server: Server


def connect_stage(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address)


@asynccontextmanager
async def serving_stage(
    register: Callable[[grpc.aio.Server], None], kind: StageKind[Any, Any], caller_patience_s: float = 60.0
) -> AsyncIterator[Server]:
    """A stage that is ready, on a free port."""
    async with serving("localhost:0", register, [kind.service], 0, caller_patience_s) as server:
        server.welcome()
        yield server


@asynccontextmanager
async def gateway_over(
    lm_ports: Sequence[int],
    dit_ports: Sequence[int],
    uploads: Uploads,
    door: Door | None = None,
    caller_patience_s: float = 60.0,
    **settings: Any,
) -> AsyncIterator[str]:
    """The address of a gateway that is ready to make songs."""
    chosen = Settings(
        lm_address=tuple(f"localhost:{port}" for port in lm_ports),
        dit_address=tuple(f"localhost:{port}" for port in dit_ports),
        **settings,
    )
    async with Stages(chosen, connect_stage) as stages:
        workshop = Workshop(stages, uploads, chosen, door or Door(None))
        async with serving(
            "localhost:0",
            lambda server: add_to(server, workshop),
            [],
            0,
            caller_patience_s,
            exposure=chosen,
            enter=workshop.door.enter,
        ) as server:
            async with asyncio.timeout(10):
                await stages.until_ready()
            yield f"localhost:{server.port}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path) as world:
        yield world


@asynccontextmanager
async def opened_world(
    folder: Path, door: Door | None = None, lm: FakeLm | None = None, dit: FakeDit | None = None
) -> AsyncIterator[World]:
    lm, dit = lm or FakeLm(), dit or FakeDit()
    uploads = Uploads(folder, 2_000_000, 4_000_000, 60.0)
    async with (
        serving_stage(partial(lm_rpc.add_LmServiceServicer_to_server, lm), LM) as lm_server,
        serving_stage(partial(dit_rpc.add_DitServiceServicer_to_server, dit), DIT) as dit_server,
        gateway_over(
            [lm_server.port], [dit_server.port], uploads, door, max_songs=8, codes_timeout_s=20.0
        ) as address,
        connect(address) as client,
    ):
        yield World(client, lm, dit, address, lm_server, dit_server)
