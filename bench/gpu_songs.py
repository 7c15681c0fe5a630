"""Songs as the service renders them on a GPU, for benches: by its engine, on its lane."""

import asyncio
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace

import torch

from bench.dit_checkpoint import TURBO
from dit_service import defaults
from dit_service.due import Due
from dit_service.engine import Phase, Piece, Progress, RenderJob, Song, Task
from dit_service.lane import Lane
from dit_service.torch_engine import TorchEngine

JOB = RenderJob(
    model=TURBO,
    task=Task.TEXT2MUSIC,
    instruction=None,
    caption="slow piano with a long tail, warm and near",
    lyrics="[Verse]\nla la la, we count the notes until they are as many as a song has\n" * 12,
    language="en",
    bpm=90,
    keyscale=None,
    timesignature=None,
    duration_s=30.0,
    audio_codes=(),
    audio_cover_strength=1.0,
    seed=7,
    diffusion=defaults.TURBO.defaults,
)


@dataclass(frozen=True, slots=True)
class Told:
    """Of songs that were rendered together; milliseconds."""

    conditioning: float
    """Of the device's time, of the song that came first; the diffusion too."""
    diffusion: float
    whole: float
    """From the first to the last of it all."""
    first_sound: float
    """After the last step, of the song that came first."""
    gib: float
    """The most memory there was in use, models included."""


def job(seconds: float, model: str = TURBO) -> RenderJob:
    diffusion = (defaults.TURBO if model == TURBO else defaults.OTHERS).defaults
    return replace(JOB, model=model, duration_s=seconds, diffusion=diffusion)


class Render:
    """A song, and when its last step was done and its first sound was there."""

    def __init__(self, engine: TorchEngine, job: RenderJob) -> None:
        self.share = engine.share(job)
        self._steps = engine.render(job)
        self.stepped_at = self.heard_at = 0.0
        self.song: Song

    def steps(self) -> Generator[Progress | Piece | Due | Song, None, None]:
        """Noted on the thread that does them."""
        for event in self._steps:
            if isinstance(event, Progress) and event.phase is Phase.DIFFUSION:
                self.stepped_at = time.perf_counter()
            elif isinstance(event, Piece):
                self.heard_at = self.heard_at or time.perf_counter()
            elif isinstance(event, Song):
                self.song = event
            yield event

    async def on(self, lane: Lane) -> None:
        async with lane.run(self.steps(), self.share) as events:
            async for _ in events:
                pass


async def _runs(engine: TorchEngine, jobs: list[RenderJob], count: int) -> list[Told]:
    lane, found = Lane(max_queued=16, max_together=16), []
    with closing(lane):
        for _ in range(count):
            torch.cuda.reset_peak_memory_stats()
            renders = [Render(engine, job) for job in jobs]
            start = time.perf_counter()
            await asyncio.gather(*(render.on(lane) for render in renders))
            whole, first = time.perf_counter() - start, renders[0]
            found.append(
                Told(
                    conditioning=1e3 * first.song.seconds[Phase.CONDITIONING],
                    diffusion=1e3 * first.song.seconds[Phase.DIFFUSION],
                    whole=1e3 * whole,
                    first_sound=1e3 * (first.heard_at - first.stepped_at),
                    gib=torch.cuda.max_memory_allocated() / 2**30,
                )
            )
    return found


def rendered(engine: TorchEngine, jobs: list[RenderJob], repeats: int) -> Told:
    """The median by the whole, of runs of which the first is not counted."""
    runs = asyncio.run(_runs(engine, jobs, repeats + 1))[1:]
    return sorted(runs, key=lambda run: run.whole)[len(runs) // 2]
