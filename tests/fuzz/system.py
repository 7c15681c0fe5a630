"""The three services in one process: real gateway, real servicers, and engines that need no model."""

from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import grpc
import numpy as np

from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from common.slot import Slot
from dit_service.engine import Encoding, Engine, Phase, Song, Waveform
from dit_service.engine import Progress as Step
from dit_service.lane import Lane
from dit_service.servicer import DitServicer, Limits
from gateway.stages import DIT, LM
from gateway.uploads import Uploads
from lm_service.admission import Admission, Room
from lm_service.engine import Job
from lm_service.generation import Generations
from lm_service.prompt import PromptLayout
from lm_service.servicer import LmServicer, Service
from lm_service.song import Jobs
from tests.dit import fakes as dit_fakes
from tests.gateway.conftest import gateway_over, serving_stage
from tests.lm import fakes as lm_fakes


@dataclass(frozen=True, slots=True)
class Channels:
    """A channel to each service, by the name of its package."""

    gateway: grpc.aio.Channel
    lm: grpc.aio.Channel
    dit: grpc.aio.Channel


class SmallLm(lm_fakes.FakeEngine):
    """Writes codes that a code book of its few codes has: the test's vocabulary has gaps."""

    def _tokens(self, job: Job) -> list[int]:
        window = self.model.grammar.window
        codes = range(window.first, window.stop)
        low = [token for token in codes if 0 <= window.code(token) < self.model.code_count]
        return [low[token % len(low)] if token in codes else token for token in super()._tokens(job)]


class QuickDit(dit_fakes.FakeEngine):
    """Silence costs next to nothing, however long it is."""

    def __init__(self, code_count: int) -> None:
        super().__init__()
        turbo, base = self.models
        self.models = (replace(turbo, code_count=code_count), replace(base, code_count=code_count))

    def _song(self, frames: int, seed: int) -> Song:
        song = np.zeros((frames * 1920, 2), np.float32)
        return Song(song, np.ones((frames, 8), np.float32), dict.fromkeys(Phase, 0.5))

    def encode(
        self, waveform: Waveform, model: str, with_codes: bool
    ) -> Generator[Step | Encoding, None, None]:
        yield Encoding(np.ones((len(waveform) // 1920 + 1, 8), np.float32), (1, 2, 3) * with_codes)


@asynccontextmanager
async def system(folder: Path) -> AsyncIterator[Channels]:
    lm_slot, dit_slot, lane = Slot[Service]("the lm"), Slot[Engine]("the dit"), Lane(8)
    lm_engine = SmallLm()
    admission = Admission(Room(8, lm_engine.cache_token_count), 8)
    jobs = Jobs(lm_engine.model, max_text_tokens=900, layout=PromptLayout.OPEN_TURN)
    lm_slot.fill(Service(Generations(lm_engine, admission, stall_s=30.0), jobs))
    dit_slot.fill(QuickDit(lm_engine.model.code_count))
    lm, dit = LmServicer(lm_slot), DitServicer(dit_slot, lane, Limits(8, 16, 4_000_000))
    with closing(lane):
        async with (
            serving_stage(partial(lm_rpc.add_LmServiceServicer_to_server, lm), LM) as lm_server,
            serving_stage(partial(dit_rpc.add_DitServiceServicer_to_server, dit), DIT) as dit_server,
            grpc.aio.insecure_channel(f"localhost:{lm_server.port}") as lm_channel,
            grpc.aio.insecure_channel(f"localhost:{dit_server.port}") as dit_channel,
            gateway_over(
                [lm_server.port],
                [dit_server.port],
                Uploads(folder, 4_000_000, 64_000_000, 60.0),
                max_songs=16,
            ) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            yield Channels(channel, lm_channel, dit_channel)
