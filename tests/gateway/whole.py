"""The real gateway over the real servicers of both stages; only the engines are stand-ins."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from prometheus_client import REGISTRY

from acestep.client import Client, connect
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from common.slot import Slot
from dit_service.engine import Engine
from dit_service.lane import Lane
from dit_service.servicer import DitServicer, Limits
from gateway.stages import DIT, LM
from gateway.uploads import Uploads
from lm_service import metrics
from lm_service.admission import Admission, Room
from lm_service.generation import Generations
from lm_service.grammar import Grammar
from lm_service.prompt import PromptLayout
from lm_service.servicer import LmServicer, Service
from lm_service.song import Jobs
from tests.dit.fakes import BASE, TURBO
from tests.dit.fakes import FakeEngine as FakeDitEngine
from tests.gateway.conftest import gateway_over, serving_stage
from tests.lm.fakes import FakeEngine as FakeLmEngine
from tests.lm.golden import vocabulary

CODE_COUNT = 64
GRAMMAR = Grammar(vocabulary(), CODE_COUNT)
"""The code book that both stages have; the small vocabulary knows no more codes in a row."""

Register = Callable[[grpc.aio.Server], None]

ROWS = 16
MAX_QUEUED = 64
MAX_CALLS = 128


@asynccontextmanager
async def whole(
    folder: Path, lm: FakeLmEngine, dit: FakeDitEngine, patience_s: float = 60.0, **settings: Any
) -> AsyncIterator[Client]:
    """A client of a gateway whose stages run `lm`, made with `GRAMMAR`, and `dit`.

    `patience_s` is what any of them waits for another, all of them being one process.
    """
    uploads = Uploads(folder, 4_000_000, 16_000_000, 600.0)
    async with (
        serving_engines(lm, dit, patience_s) as (lm_port, dit_port),
        gateway_over(
            [lm_port],
            [dit_port],
            uploads,
            caller_patience_s=patience_s,
            info_timeout_s=patience_s,
            **settings,
        ) as address,
        connect(address) as client,
    ):
        yield client


@asynccontextmanager
async def serving_engines(
    lm: FakeLmEngine, dit: FakeDitEngine, patience_s: float = 60.0
) -> AsyncIterator[tuple[int, int]]:
    """Ports of both stages."""
    with lm_servicer(lm, patience_s) as add_lm, dit_servicer(dit) as add_dit:
        async with (
            serving_stage(add_lm, LM, patience_s) as lm_server,
            serving_stage(add_dit, DIT, patience_s) as dit_server,
        ):
            yield lm_server.port, dit_server.port


@contextmanager
def lm_servicer(engine: FakeLmEngine, stall_s: float = 30.0) -> Iterator[Register]:
    """What adds the language model's service, over `engine`, to a server."""
    slot: Slot[Service] = Slot("the language model")
    admission = Admission(Room(ROWS, engine.cache_token_count), MAX_QUEUED)
    jobs = Jobs(engine.model, max_text_tokens=900, layout=PromptLayout.OPEN_TURN)
    slot.fill(Service(Generations(engine, admission, stall_s=stall_s), jobs))
    collector = metrics.watch(engine, admission)
    try:
        yield partial(lm_rpc.add_LmServiceServicer_to_server, LmServicer(slot))
    finally:
        REGISTRY.unregister(collector)


@contextmanager
def dit_servicer(engine: FakeDitEngine) -> Iterator[Register]:
    """What adds the diffusion's service, over `engine`, to a server."""
    engine.models = (replace(TURBO, code_count=CODE_COUNT), replace(BASE, code_count=CODE_COUNT))
    slot: Slot[Engine] = Slot("the DiT service")
    slot.fill(engine)
    with closing(Lane(MAX_QUEUED)) as lane:
        servicer = DitServicer(slot, lane, Limits(MAX_QUEUED, MAX_CALLS, 4_000_000))
        yield partial(dit_rpc.add_DitServiceServicer_to_server, servicer)
