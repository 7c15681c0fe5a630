"""`python -m dit_service`: listen, load the models, then serve until SIGTERM."""

import asyncio

from acestep.dit.v1 import dit_service_pb2 as dit_pb2
from acestep.dit.v1 import dit_service_pb2_grpc as dit_grpc
from common.server import serving, until_signalled
from common.service import run
from common.slot import Slot
from dit_service import compile_cache, heap
from dit_service.engine import Engine
from dit_service.lane import Lane
from dit_service.servicer import DitServicer, Limits
from dit_service.settings import Settings
from dit_service.torch_engine import TorchEngine

SERVICE_NAME = dit_pb2.DESCRIPTOR.services_by_name["DitService"].full_name


async def main(settings: Settings) -> None:
    if settings.compile_cache is not None:
        compile_cache.keep_in(settings.compile_cache)
    slot = Slot[Engine]("the DiT service")
    lane = Lane(settings.max_queued, settings.songs_at_once)
    limits = Limits(settings.max_queued, settings.max_calls, settings.max_upload_bytes)
    async with serving(
        settings.address,
        lambda server: dit_grpc.add_DitServiceServicer_to_server(DitServicer(slot, lane, limits), server),
        [SERVICE_NAME],
        settings.grace_s,
        exposure=settings,
    ) as server:
        stop = asyncio.create_task(until_signalled())
        loading = asyncio.create_task(
            asyncio.to_thread(
                TorchEngine.load,
                settings.models,
                settings.loaded_models,
                settings.device.value,
                threads=settings.threads,
                song_memory=settings.max_song_memory,
                model_memory=settings.max_model_memory,
                compiled=settings.compile,
            )
        )
        await asyncio.wait({stop, loading}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            slot.fill(loading.result())
            server.welcome()
        await stop
    lane.close()


if __name__ == "__main__":
    heap.share()
    run(Settings, "ACESTEP_DIT", main)
