"""`python -m gateway`: wait for the stages, then serve until SIGTERM."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import grpc

from common.channels import open_channel
from common.server import CLIENT_OPTIONS, serving, until_signalled
from common.service import run
from gateway.door import Door
from gateway.generation import Workshop
from gateway.servicer import add_to
from gateway.settings import Settings
from gateway.stages import Stages
from gateway.tenants import Tenants
from gateway.uploads import Uploads

SERVICE_NAME = "acestep.gateway.v1.MusicService"
RECONNECT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 2000))
"""A replica that is started again should be found again soon."""

logger = logging.getLogger(__name__)


async def main(settings: Settings) -> None:
    """Raises `TlsError`, `TenantsError` and `OSError` for what an operator can mend."""
    if settings.stage_tls is not None:
        settings.stage_tls.read()  # now, and not when a replica is found: nobody would hear of it
    uploads = Uploads(
        settings.upload_dir,
        settings.max_upload_bytes,
        settings.max_uploads_bytes,
        settings.upload_lifetime_s,
    )
    tenants = None if settings.tenants is None else Tenants(settings.tenants)
    if tenants is not None and settings.server_tls is None:
        logger.warning("tokens are asked for without TLS: whoever sees the network can read them")
    door = Door(tenants, settings.quota_shares)
    async with Stages(settings, partial(connect, settings)) as stages:
        workshop = Workshop(stages, uploads, settings, door)
        async with serving(
            settings.address,
            lambda server: add_to(server, workshop),
            [SERVICE_NAME],
            settings.grace_s,
            exposure=settings,
            enter=door.enter,
        ) as server:
            readiness = asyncio.create_task(_welcome_when_ready(stages, server.welcome))
            await until_signalled()
            readiness.cancel()


def connect(settings: Settings, address: str) -> grpc.aio.Channel:
    """A channel to a replica of a stage. Raises `TlsError`."""
    options: tuple[tuple[str, str | int], ...] = (*CLIENT_OPTIONS, *RECONNECT)
    if settings.stage_tls_name is not None:
        options += (("grpc.ssl_target_name_override", settings.stage_tls_name),)
    return open_channel(address, settings.stage_tls, options)


async def _welcome_when_ready(stages: Stages, welcome: Callable[[], None]) -> None:
    """Readiness waits until both stages are there; later it is the gateway's own."""
    await stages.until_ready()
    welcome()


if __name__ == "__main__":
    run(Settings, "ACESTEP_GATEWAY", main)
