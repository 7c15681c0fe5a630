"""`DitService` over an engine: admit, run, translate. No torch here."""

import asyncio
import logging
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, TypeVar

import grpc

from acestep.dit.v1 import dit_service_pb2 as dit_pb2
from acestep.dit.v1 import dit_service_pb2_grpc as dit_grpc
from common import tracing
from common.errors import AceError, Kind
from common.music import SAMPLE_RATE_HZ
from common.slot import Slot
from dit_service import delivery, metrics, orders, reference, uploads, wire
from dit_service.audio_in import AudioFile, read_audio
from dit_service.due import Due
from dit_service.engine import Encoding, Engine, Phase, Piece, Progress, RenderJob, Song, SourceSound
from dit_service.lane import Begun, Lane, Waiting
from dit_service.orders import RenderOrder

logger = logging.getLogger(__name__)

T = TypeVar("T")
FOLLOWED_BY = {Phase.CONDITIONING: Phase.DIFFUSION, Phase.DIFFUSION: Phase.DECODING}
Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    max_queued: int
    max_calls: int
    max_upload_bytes: int


class DitServicer(dit_grpc.DitServiceServicer):
    def __init__(self, engine: Slot[Engine], lane: Lane, limits: Limits) -> None:
        self._engine = engine
        self._lane = lane
        self._limits = limits
        self._calls = 0

    async def Render(
        self, requests: AsyncIterator[dit_pb2.RenderRequest], context: Context
    ) -> AsyncIterator[dit_pb2.RenderResponse]:
        engine = self._engine.get()
        with self._counted(), _Watch() as watch:
            job = await uploads.first_job(requests)
            order = orders.render_order(job, engine.models, engine.latent_channels)
            cuts = await asyncio.to_thread(engine.cuts, order.job)
            order = replace(order, warnings=(*order.warnings, *cuts))
            if job.validate_only:
                engine.share(order.job)  # what could never run is refused before anything is done for it
                yield wire.started(order)
                return
            order = await self._with_files(order, requests)
            song = None
            async with self._rendered(engine, order.job) as events:
                async for event in events:
                    watch.saw(event)
                    if isinstance(event, Song):
                        song = event
                    elif not isinstance(event, Piece):
                        yield wire.event(event, order)
                    elif job.stream_audio:
                        for message in delivery.live(event, order):
                            yield message
            # The lane is free again: a slow reader of the audio holds up nobody.
            song = _required(song)
            watch.delivers(order, song)
            # Every piece has been copied into a message by now, so the song may be changed.
            done = await asyncio.to_thread(delivery.finish_render, song, order)
            async with delivery.measuring(song) as loudness:
                for chunk in wire.audio(song.waveform):
                    yield dit_pb2.RenderResponse(audio=chunk)
                yield wire.result(song, done, await loudness, watch.queue_s, order.return_latents)

    async def EncodeAudio(
        self, requests: AsyncIterator[dit_pb2.EncodeAudioRequest], context: Context
    ) -> dit_pb2.EncodeAudioResponse:
        engine = self._engine.get()
        with self._counted():
            order = orders.encode_order(await uploads.first_header(requests), engine.models)
            (audio,) = await self._uploaded(requests, ("audio",))
            steps = engine.encode(audio.waveform, order.card.revision.name, order.with_codes)
            encoding = await self._outcome(steps, Encoding)
            return wire.encoded(encoding, order.card, audio.duration_s, order.with_latents)

    async def Decode(
        self, request: dit_pb2.DecodeRequest, context: Context
    ) -> AsyncIterator[dit_pb2.DecodeResponse]:
        engine = self._engine.get()
        with self._counted():
            order = orders.decode_order(request, engine.models, engine.latent_channels)
            song = await self._outcome(engine.decode(order.source, order.card.revision.name), Song)
            done = await asyncio.to_thread(delivery.finish_song, song, order.finish)
            async with delivery.measuring(song) as loudness:
                for chunk in wire.audio(song.waveform):
                    yield dit_pb2.DecodeResponse(audio=chunk)
                yield wire.decoded(song, done, await loudness)

    async def GetModelInfo(
        self, request: dit_pb2.GetModelInfoRequest, context: Context
    ) -> dit_pb2.GetModelInfoResponse:
        limits = self._limits
        return wire.info(
            self._engine.get(),
            limits.max_queued,
            limits.max_calls,
            limits.max_upload_bytes,
            self._lane.max_together,
        )

    async def _with_files(
        self, order: RenderOrder, requests: AsyncIterator[dit_pb2.RenderRequest]
    ) -> RenderOrder:
        if not order.uploads:
            return order
        files = dict(zip(order.uploads, await self._uploaded(requests, order.uploads), strict=True))
        if source := files.get(orders.SOURCE_UPLOAD):
            order = orders.with_source(order, SourceSound(source.waveform))
        if heard := files.get(orders.REFERENCE_UPLOAD):
            excerpt = reference.excerpt(heard.waveform)  # all else is let go before the job waits
            order = replace(order, job=replace(order.job, reference=excerpt))
        return order

    async def _uploaded(self, requests: uploads.Requests, fields: Sequence[str]) -> list[AudioFile]:
        self._lane.refuse_if_full()  # before a file is sent in vain
        files = await uploads.read_files(requests, fields, self._limits.max_upload_bytes)
        # Each is let go as soon as it is decoded.
        return [await asyncio.to_thread(read_audio, files.pop(0), field) for field in fields]

    def _rendered(
        self, engine: Engine, job: RenderJob
    ) -> AbstractAsyncContextManager[AsyncIterator[Waiting | Begun | Progress | Piece | Song]]:
        return self._lane.run(_counted_render(engine.render(job)), engine.share(job))

    async def _outcome(self, steps: Generator[Progress | Piece | T, None, None], kind: type[T]) -> T:
        """Run a job whose steps nobody follows."""
        outcome = None
        async with self._lane.run(steps) as events:
            async for event in events:
                if isinstance(event, kind):
                    outcome = event
        return _required(outcome)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Raises `AceError` (OVERLOADED) above `max_calls`: each may hold a song in memory."""
        if self._calls >= self._limits.max_calls:
            raise AceError(
                Kind.OVERLOADED,
                "TOO_MANY_CALLS",
                f"{self._calls} calls are being served already; retry later",
                retry_after_s=5.0,
                calls=self._calls,
            )
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1


class _Watch:
    """Follows a render for the metrics: what it is doing, and where its caller gave it up."""

    def __init__(self) -> None:
        self._doing = ""
        self._phases = tracing.Phases()
        self._enter("upload")
        self.queue_s = 0.0

    def saw(self, event: Waiting | Begun | Progress | Piece | Song) -> None:
        match event:
            case Waiting():
                self._enter("queue")
            case Begun(waited_s):
                self.queue_s = waited_s
                metrics.QUEUE_SECONDS.observe(waited_s)
                self._enter(Phase.CONDITIONING.value)
            case Progress(phase):
                self._enter(phase.value)
                if event.ends_phase and (next_phase := FOLLOWED_BY.get(phase)):
                    self._enter(next_phase.value)

    def _enter(self, doing: str) -> None:
        if doing != self._doing:
            self._doing = doing
            self._phases.enter(doing)

    def delivers(self, order: RenderOrder, song: Song) -> None:
        self._enter("sending")
        metrics.observe(order.job, song)
        song_s, spent_s = len(song.waveform) / SAMPLE_RATE_HZ, sum(song.seconds.values())
        logger.info("rendered %.1f s of song in %.2f s, seed %d", song_s, spent_s, order.job.seed)

    def __enter__(self) -> "_Watch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._phases.end()
        # gRPC cancels the task while it waits, and closes the stream where it had just yielded.
        if kind in (asyncio.CancelledError, GeneratorExit):
            metrics.CANCELLATIONS.labels(self._doing).inc()


def _counted_render(
    steps: Generator[Progress | Piece | Due | Song, None, None],
) -> Generator[Progress | Piece | Due | Song, None, None]:
    with metrics.RENDERS_RUNNING.track_inprogress():
        yield from steps


def _required(outcome: T | None) -> T:
    if outcome is None:
        raise RuntimeError("the engine ended without a result")
    return outcome
