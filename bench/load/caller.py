"""One request, from its moment in the schedule to its end."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from acestep.client import Client
from acestep.client.audio import Samples
from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from bench.load.schedule import Ask, Kind

SAMPLE_RATE_HZ = 48_000
CODE_RATE_HZ = 5
OK = "OK"
CAPTION = "slow piano, rain on a window, close and warm"
LYRICS = "[Verse]\nthe rain is on the glass\nand nobody is home\n\n[Chorus]\nlet it fall"
PLANNED: dict[str, Any] = {"bpm": 100, "keyscale": "C major", "timesignature": "4"}


@dataclass(slots=True)
class Outcome:
    """What its caller saw. Times count from the moment at which it should have been sent."""

    ask: Ask
    code: str = OK
    """`OK`, or the status and the reason of the failure."""
    sent_late_s: float = 0.0
    """How late the generator itself was; far from zero means that this machine is too busy to measure."""
    first_event_s: float | None = None
    first_sound_s: float | None = None
    """Live audio, or the first piece of a file."""
    done_s: float = 0.0
    byte_count: int = 0
    retried_count: int = 0
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by phase, as the services tell them."""


@dataclass(frozen=True, slots=True)
class Caller:
    client: Client
    deadline_s: float
    live: bool
    """Whether songs are heard while they are decoded."""

    async def ask(self, ask: Ask, due: float) -> Outcome:
        """Send it at `due` on the monotonic clock, and follow it to its end."""
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        outcome = Outcome(ask, sent_late_s=time.monotonic() - due)
        try:
            async for event in self._events(ask):
                _note(outcome, event, time.monotonic() - due)
        except ServiceError as error:
            outcome.code = f"{error.code.name} {error.reason}"
        outcome.done_s = time.monotonic() - due
        return outcome

    def _events(self, ask: Ask) -> AsyncIterator[Any]:
        sampling = music_pb2.LmSampling(seed=ask.seed)
        if ask.kind is Kind.UNDERSTAND:
            codes = np.random.default_rng(ask.seed).integers(0, 64, int(CODE_RATE_HZ * ask.song_s)).tolist()
            message = pb.UnderstandMusicRequest(sampling=sampling)
            return self.client.understand(message, self.deadline_s, codes=codes)
        if ask.kind is Kind.CREATE:
            return self.client.create(
                pb.CreateSampleRequest(query="a sad song about rain", sampling=sampling), self.deadline_s
            )
        if ask.kind is Kind.FORMAT:
            return self.client.format(
                pb.FormatSampleRequest(caption=CAPTION, lyrics=LYRICS, sampling=sampling), self.deadline_s
            )
        source = melody(ask.song_s) if ask.kind is Kind.COVER else None
        return self.client.generate(song_request(ask, self.live), self.deadline_s, source=source)


def song_request(ask: Ask, live: bool) -> pb.GenerateMusicRequest:
    request = pb.GenerateMusicRequest(
        caption=CAPTION,
        lyrics=LYRICS,
        batch=pb.BatchParams(seeds=[ask.seed]),
        lm=pb.LmParams(thinking=ask.kind is Kind.THINKING),
        output=pb.OutputParams(stream_audio=live),
    )
    if ask.kind is Kind.COVER:
        request.task = music_pb2.TASK_COVER
    else:
        request.duration_seconds = ask.song_s
    if ask.kind is not Kind.THINKING:
        # Nothing is left for the language model to think of.
        request.MergeFrom(pb.GenerateMusicRequest(**PLANNED))
        request.lm.chain_of_thought.use_cot_caption = False
        request.lm.chain_of_thought.use_cot_language = False
    return request


def melody(seconds: float) -> Samples:
    """A rising tone, for covers."""
    times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * (220 + 20 * times / seconds) * times)
    return Samples(np.stack([tone, tone]), SAMPLE_RATE_HZ)


def _note(outcome: Outcome, event: Any, after_s: float) -> None:
    if outcome.first_event_s is None:
        outcome.first_event_s = after_s
    outcome.byte_count += event.ByteSize()
    if not isinstance(event, pb.GenerateMusicResponse):
        return
    if outcome.first_sound_s is None and (event.HasField("live_audio") or event.HasField("audio")):
        outcome.first_sound_s = after_s
    outcome.retried_count += event.HasField("retried")
    if event.HasField("song"):
        outcome.timings |= dict(event.song.timings)
        if event.song.HasField("error"):
            outcome.code = event.song.error.reason
    if event.HasField("result"):
        outcome.timings |= dict(event.result.timings)


async def ask_all(caller: Caller, asks: Sequence[Ask]) -> list[Outcome]:
    """Each at its own time: nobody waits for an answer before the next is sent."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(caller.ask(ask, began + ask.at_s)) for ask in asks]
    return [task.result() for task in tasks]
