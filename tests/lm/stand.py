"""A real gRPC server of `LmService` on a free port, over an engine of the caller's choice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from acestep.lm.v1 import lm_service_pb2_grpc
from common.server import serving
from common.slot import Slot
from lm_service.__main__ import NAME
from lm_service.admission import Admission
from lm_service.engine import Engine
from lm_service.generation import Generations
from lm_service.prompt import PromptLayout
from lm_service.servicer import LmServicer, Service
from lm_service.song import Jobs


def service(
    engine: Engine,
    admission: Admission,
    *,
    stall_s: float = 30.0,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    max_text_tokens: int = 900,
) -> Service:
    jobs = Jobs(engine.model, max_text_tokens=max_text_tokens, layout=PromptLayout.OPEN_TURN)
    return Service(Generations(engine, admission, stall_s, pause), jobs)


@asynccontextmanager
async def listening(loaded: Service | None) -> AsyncIterator[str]:
    """The address. No service means that it is still loading."""
    slot: Slot[Service] = Slot("the language model")
    if loaded is not None:
        slot.fill(loaded)
    servicer = LmServicer(slot)
    async with serving(
        "localhost:0",
        lambda server: lm_service_pb2_grpc.add_LmServiceServicer_to_server(servicer, server),
        service_names=[NAME],
        grace_s=0,
    ) as server:
        yield f"localhost:{server.port}"
