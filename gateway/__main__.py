"""`python -m gateway`: wait for the stages, then serve until SIGTERM."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from common.channels import open_channel
from common.errors import AceError
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
STAGE_RETRY_S = 1.0

logger = logging.getLogger(__name__)


async def main(settings: Settings) -> None:
    async with (
        open_channel(settings.lm_address, settings.stage_tls, CLIENT_OPTIONS) as lm_channel,
        open_channel(settings.dit_address, settings.stage_tls, CLIENT_OPTIONS) as dit_channel,
    ):
        stages = Stages(lm_channel, dit_channel, settings.info_timeout_s)
        uploads = Uploads(
            settings.upload_dir,
            settings.max_upload_bytes,
            settings.max_uploads_bytes,
            settings.upload_lifetime_s,
        )
        tenants = None if settings.tenants is None else Tenants(settings.tenants)
        if tenants is not None and settings.server_tls is None:
            logger.warning("tokens are asked for without TLS: whoever sees the network can read them")
        door = Door(tenants)
        workshop = Workshop(stages, uploads, settings, door)
        async with serving(
            settings.address,
            lambda server: add_to(server, workshop),
            [SERVICE_NAME],
            settings.grace_s,
            exposure=settings,
            enter=door.enter,
        ) as server:
            first_answer = asyncio.create_task(_welcome_when_ready(stages, server.welcome))
            await until_signalled()
            first_answer.cancel()


async def _welcome_when_ready(stages: Stages, welcome: Callable[[], Awaitable[None]]) -> None:
    """Readiness waits for the first answer of both stages; later it is the gateway's own."""
    while True:
        try:
            info = await stages.info()
            info.lm_model("")
        except AceError as error:
            logger.info("waiting: %s", error.message)
            await asyncio.sleep(STAGE_RETRY_S)
        else:
            return await welcome()


if __name__ == "__main__":
    run(Settings, "ACESTEP_GATEWAY", main)
