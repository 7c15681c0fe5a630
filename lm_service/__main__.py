"""`python -m lm_service`: listen, load the model, then serve until SIGTERM."""

import asyncio
import importlib
import logging
from contextlib import AsyncExitStack

from acestep.lm.v1 import lm_service_pb2_grpc
from common.server import Server, serving, until_signalled
from common.service import run
from common.slot import Slot
from lm_service import metrics, vllm_environment
from lm_service.admission import Admission, Room
from lm_service.generation import Generations
from lm_service.servicer import LmServicer, Service
from lm_service.settings import Device, Settings
from lm_service.song import Jobs

logger = logging.getLogger(__name__)

NAME = "acestep.lm.v1.LmService"


async def main(settings: Settings) -> None:
    slot: Slot[Service] = Slot("the language model")
    servicer = LmServicer(slot)
    # The engine is closed after the server, so that calls in flight can finish.
    async with (
        AsyncExitStack() as after,
        serving(
            settings.address,
            lambda server: lm_service_pb2_grpc.add_LmServiceServicer_to_server(servicer, server),
            service_names=[NAME],
            grace_s=settings.grace_s,
            exposure=settings,
        ) as server,
    ):
        running = asyncio.create_task(_run(settings, slot, server, after))
        signalled = asyncio.create_task(until_signalled())
        await asyncio.wait((running, signalled), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()  # it only ends by failing
        running.cancel()


async def _run(settings: Settings, slot: Slot[Service], server: Server, after: AsyncExitStack) -> None:
    """Load, welcome calls, and raise `RuntimeError` if the engine dies."""
    on_gpu = settings.device is Device.CUDA
    vllm_environment.prepare(settings.cpu_threads, settings.batch_invariant and on_gpu)
    # Imported only now, as vLLM reads its environment then, and in a thread, as it takes long.
    vllm_engine = await asyncio.to_thread(importlib.import_module, "lm_service.vllm_engine")
    engine = await vllm_engine.VllmEngine.load(settings)
    after.callback(engine.close)
    admission = Admission(Room(settings.max_rows, engine.cache_token_count), settings.max_queued)
    metrics.watch(engine, admission)
    slot.fill(
        Service(
            Generations(engine, admission, settings.stall_s),
            Jobs(engine.model, settings.max_text_tokens, settings.prompt_layout),
        )
    )
    server.welcome()
    await engine.until_dead()
    raise RuntimeError("the engine has died; its log says why")


if __name__ == "__main__":
    run(Settings, "ACESTEP_LM", main)
