"""The two stages as processes: real services, with engines that stand in for a device and take their time.

ACESTEP_LM_ADDRESS=127.0.0.1:50051 python -m tests.faults.standin_lm
"""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from typing import Any

from common.exposure import Exposure
from common.server import serving, until_signalled
from common.telemetry import LogFormat
from gateway.pool import StageKind
from lm_service.engine import Job
from tests.dit.fakes import FakeEngine as FakeDitEngine
from tests.gateway.whole import GRAMMAR, Register
from tests.lm.fakes import FakeEngine as FakeLmEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Exposure):
    address: str
    pace_s: float = 0.02
    """What a token, or a step of the diffusion, takes."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    log_format: LogFormat = LogFormat.TEXT
    log_level: str = "INFO"
    grace_s: float = 5.0


class PacedLm(FakeLmEngine):
    """Writes as the stand-in does, at the pace of a device."""

    def __init__(self, token_s: float) -> None:
        super().__init__(grammar=GRAMMAR)
        self._token_s = token_s

    async def generate(self, job: Job) -> AsyncGenerator[tuple[int, ...], None]:
        async with aclosing(super().generate(job)) as tokens:
            async for token in tokens:
                await asyncio.sleep(self._token_s)
                yield token


class PacedDit(FakeDitEngine):
    """Renders noise that the seed decides, step by step at the pace of a device."""

    def __init__(self, step_s: float) -> None:
        super().__init__(step_count=8)
        self._step_s = step_s

    def _step(self) -> None:
        threading.Event().wait(self._step_s)  # unlike `time.sleep` it can do with a clock that is faked


async def serve(
    settings: Settings, kind: StageKind[Any, Any], servicer: AbstractContextManager[Register]
) -> None:
    """Until SIGTERM."""
    with servicer as register:
        async with serving(
            settings.address, register, [kind.service], settings.grace_s, exposure=settings
        ) as server:
            server.welcome()
            await until_signalled()
