"""Engines that stand in for a device. They keep the real engine's promises, quickly."""

import threading
from collections import Counter
from collections.abc import Generator

import numpy as np

from common.errors import AceError, Kind
from common.revision import Revision
from dit_service.canvas import SAMPLES_PER_FRAME
from dit_service.due import Due
from dit_service.engine import (
    Encoding,
    Latents,
    ModelCard,
    Phase,
    Piece,
    Progress,
    RenderJob,
    Song,
    Waveform,
)

TURBO = ModelCard(Revision("acestep-v15-turbo", "r1"), is_turbo=True, code_count=64_000)
BASE = ModelCard(Revision("acestep-v15-base", "r2"), is_turbo=False, code_count=64_000)


class FakeEngine:
    """Takes `step_count` steps, then hands out noise that depends on the seed alone: at once, or in
    `tile_count` tiles.

    With `paused=True` a step waits for `allow(1)`: the test decides when time passes.
    """

    def __init__(
        self, step_count: int = 3, paused: bool = False, silent: bool = False, tile_count: int = 0
    ) -> None:
        self.models = (TURBO, BASE)
        self.vae = Revision("vae", "r3")
        self.text_encoder = Revision("Qwen3-Embedding-0.6B", "r4")
        self.latent_channels = 8
        self.step_count = step_count
        self.steps_taken: Counter[int] = Counter()  # by seed
        self.closed: Counter[int] = Counter()  # by seed
        self.tiles_encoded = self.encodings_closed = 0
        self.jobs: list[RenderJob] = []
        self.threads: set[str] = set()
        self._silent = silent
        self._tile_count = tile_count
        self._permits = threading.Semaphore(0) if paused else None

    def allow(self, step_count: int) -> None:
        assert self._permits is not None, "the engine is not paused"
        self._permits.release(step_count)

    def cuts(self, job: RenderJob) -> tuple[str, ...]:
        return ("the lyrics are cut",) if len(job.lyrics) > 4000 else ()

    def share(self, job: RenderJob) -> float:
        return 0.0

    def render(self, job: RenderJob) -> Generator[Progress | Piece | Due | Song, None, None]:
        self.jobs.append(job)
        try:
            for done in range(1, self.step_count + 1):
                self._step()
                self.steps_taken[job.seed] += 1
                yield Progress(Phase.DIFFUSION, done, self.step_count)
            song = self._song(job.frame_count, job.seed)
            yield from self._tiles(song.waveform)
            yield song
        finally:
            self.closed[job.seed] += 1

    def encode(
        self, waveform: Waveform, model: str, with_codes: bool
    ) -> Generator[Progress | Encoding, None, None]:
        total = self._tile_count or 1
        try:
            for tile in range(1, total + 1):
                self._step()
                self.tiles_encoded += 1
                yield Progress(Phase.CONDITIONING, tile, total)
            frames = len(waveform) // SAMPLES_PER_FRAME
            yield Encoding(np.ones((frames, 8), np.float32), tuple(range(-(-frames // 5))) * with_codes)
        finally:
            self.encodings_closed += 1

    def decode(
        self, source: Latents | tuple[int, ...], model: str
    ) -> Generator[Progress | Song, None, None]:
        self._step()
        yield self._song(len(source) * (5 if isinstance(source, tuple) else 1), seed=1)

    def _tiles(self, waveform: Waveform) -> Generator[Progress | Piece, None, None]:
        frames = len(waveform) // SAMPLES_PER_FRAME
        for tile in range(self._tile_count):
            self._step()
            first, last = (frames * at // self._tile_count * SAMPLES_PER_FRAME for at in (tile, tile + 1))
            yield Piece(first, waveform[first:last])
            yield Progress(Phase.DECODING, tile + 1, self._tile_count)

    def _step(self) -> None:
        self.threads.add(threading.current_thread().name)
        if self._permits and not self._permits.acquire(timeout=10):
            raise TimeoutError("the test never allowed this step")

    def _song(self, frames: int, seed: int) -> Song:
        noise = np.random.default_rng(seed).uniform(-0.5, 0.5, (frames * SAMPLES_PER_FRAME, 2))
        sound = noise.astype(np.float32) * (not self._silent)
        return Song(sound, np.ones((frames, 8), np.float32), dict.fromkeys(Phase, 0.5))


class BrokenEngine(FakeEngine):
    """Fails in the middle of its first render, in a way that nobody foresaw."""

    def render(self, job: RenderJob) -> Generator[Progress | Piece | Due | Song, None, None]:
        if self.jobs:
            yield from super().render(job)
            return
        self.jobs.append(job)
        yield Progress(Phase.DIFFUSION, 1, 8)
        raise RuntimeError("illegal access at 0x7f00")


class FullEngine(FakeEngine):
    """Runs out of memory in its first render, as the real engine says it."""

    def render(self, job: RenderJob) -> Generator[Progress | Piece | Due | Song, None, None]:
        if self.jobs:
            yield from super().render(job)
            return
        self.jobs.append(job)
        raise AceError(Kind.OVERLOADED, "OUT_OF_MEMORY", "no memory left", retry_after_s=10.0)
