"""Upstream's functions against the real gateway over fake stages.

They block, so that tests call them in a thread: the gateway runs on the tests' own loop.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from acestep.handler import AceStepHandler
from acestep.inference import GenerationConfig, GenerationParams, GenerationResult, generate_music
from acestep.llm_inference import LLMHandler
from acestep.music.v1 import music_pb2
from tests.gateway.conftest import World, world

__all__ = ["world"]  # the fixture of the gateway's tests


@dataclass(slots=True)
class Studio:
    """Handlers that are connected, and the stages behind them."""

    world: World
    dit: AceStepHandler = field(default_factory=AceStepHandler)
    llm: LLMHandler | None = field(default_factory=LLMHandler)

    async def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return await asyncio.to_thread(partial(function, *arguments, **options))

    async def connect(self) -> None:
        address = self.world.address
        await self.call(self.dit.initialize_service, "", "dit-fake", address=address)
        if self.llm is not None:
            await self.call(self.llm.initialize, "", "lm-fake", address=address)

    async def generate(
        self, params: GenerationParams, config: GenerationConfig | None = None, **options: Any
    ) -> GenerationResult:
        """The result of `generate_music`, for one song unless `config` says otherwise."""
        made: GenerationResult = await self.call(
            generate_music, self.dit, self.llm, params, config or GenerationConfig(batch_size=1), **options
        )
        return made

    @property
    def job(self) -> Any:
        """What the diffusion was asked last."""
        return self.world.dit.jobs[-1]

    def asked(self, kind: str) -> Any:
        """What the language model was asked last, by the name of the request."""
        return [each for each in self.world.lm.requests if type(each).__name__ == kind][-1]


@pytest.fixture
async def studio(world: World) -> Studio:
    world.dit.tasks = list(music_pb2.Task.values())
    connected = Studio(world)
    await connected.connect()
    return connected
