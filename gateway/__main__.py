"""`python -m gateway`: wait for the stages, then serve until SIGTERM."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc

from common.server import CLIENT_OPTIONS, serving, until_signalled
from common.service import run
from gateway.generation import Workshop
from gateway.servicer import add_to
from gateway.settings import Settings
from gateway.stages import Stages
from gateway.uploads import Uploads

SERVICE_NAME = "acestep.gateway.v1.MusicService"
RECONNECT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 2000))
"""A replica that is started again should be found again soon."""


async def main(settings: Settings) -> None:
    uploads = Uploads(
        settings.upload_dir,
        settings.max_upload_bytes,
        settings.max_uploads_bytes,
        settings.upload_lifetime_s,
    )
    async with Stages(settings, _connect) as stages:
        workshop = Workshop(stages, uploads, settings)
        async with serving(
            settings.address, lambda server: add_to(server, workshop), [SERVICE_NAME], settings.grace_s
        ) as server:
            readiness = asyncio.create_task(_welcome_when_ready(stages, server.welcome))
            await until_signalled()
            readiness.cancel()


def _connect(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, (*CLIENT_OPTIONS, *RECONNECT))


async def _welcome_when_ready(stages: Stages, welcome: Callable[[], Awaitable[None]]) -> None:
    """Readiness waits until both stages are there; later it is the gateway's own."""
    await stages.until_ready()
    await welcome()


if __name__ == "__main__":
    run(Settings, "ACESTEP_GATEWAY", main)
