"""One song of a request: its codes, its render, its file."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.trace import Status, StatusCode

from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from acestep.music.v1 import music_pb2
from common import tracing
from common.errors import AceError, Kind
from common.music import DEFAULT_DURATION_S
from common.status import CODES
from gateway import planning
from gateway.calls import forwarded
from gateway.deadline import Deadline
from gateway.encoding import FORMATS, SongFile
from gateway.jobs import in_our_words, render_job
from gateway.metrics import SONGS, observe_song
from gateway.pool import Lost, Turn, Waiting
from gateway.progress import Fraction
from gateway.request import Order
from gateway.settings import Settings
from gateway.shelf import Unread
from gateway.stages import GUIDED_ROWS, Stages
from gateway.uploads import Uploads

RENDER_PHASES = {
    dit_pb.RENDER_PHASE_CONDITIONING: pb.PHASE_CONDITIONING,
    dit_pb.RENDER_PHASE_DIFFUSION: pb.PHASE_DIFFUSION,
    dit_pb.RENDER_PHASE_DECODING: pb.PHASE_DECODING,
}


@dataclass(frozen=True, slots=True)
class FinishedSong:
    """A song's file, and what is said of it. Handed out whole, so that files do not interleave."""

    data: bytes
    song: pb.Song
    audio_format: music_pb2.AudioFormat


SongEvent = pb.GenerateMusicResponse | FinishedSong


@dataclass(slots=True)
class SongMaker:
    """Makes the songs of one request, each on its own."""

    order: Order
    plan: pb.Plan
    stages: Stages
    uploads: Uploads
    settings: Settings
    deadline: Deadline
    fraction: Fraction
    unread: Unread
    errors: dict[int, AceError] = field(default_factory=dict)
    """Why songs failed, by song."""
    lm_turns: asyncio.Semaphore = field(init=False)
    """How many songs may be in the language model at a time."""

    def __post_init__(self) -> None:
        self.lm_turns = asyncio.Semaphore(self.order.request.lm.batch_chunk_size)

    async def make(self, index: int) -> AsyncGenerator[SongEvent, None]:
        """The events of song `index`. A failure is an event too: other songs go on."""
        seeds = self.order.seeds[index]
        song = pb.Song(song_index=index, seeds=pb.Seeds(lm_seed=seeds.lm, dit_seed=seeds.dit))
        if self.order.request.HasField("duration_seconds"):
            song.requested_duration_seconds = self.order.request.duration_seconds
        song.audio_codes.extend(self.order.request.audio_codes)
        started = time.monotonic()
        span = tracing.TRACER.start_span("song", attributes={"acestep.song_index": index})
        tracing.enter(span)
        try:
            if self.order.calls.codes:
                async for event in self._codes(song):
                    yield event
            async for rendered in self._render(song):
                yield rendered
        except AceError as stage_error:
            error = self.errors[index] = in_our_words(stage_error)
            SONGS.labels(CODES[error.kind].name).inc()
            span.set_status(Status(StatusCode.ERROR, error.reason))
            song.error.CopyFrom(_song_error(error))
            yield pb.GenerateMusicResponse(song=song)
        except (asyncio.CancelledError, GeneratorExit):
            SONGS.labels("CANCELLED").inc()
            raise
        else:
            SONGS.labels("OK").inc()
            waited_s = time.monotonic() - started
            observe_song(song.actual_duration_seconds, waited_s, song.timings["encoding"])
        finally:
            span.end()

    def _codes_call(self, song: pb.Song) -> Callable[[lm_rpc.LmServiceStub], Any]:
        request = self.order.request
        sampling = music_pb2.LmSampling()
        sampling.CopyFrom(request.lm.sampling)
        sampling.seed = song.seeds.lm_seed
        metadata = planning.codes_metadata(request, self.plan)
        job = lm_pb.GenerateCodesRequest(
            caption=request.caption,
            lyrics=self.plan.lyrics,
            metadata=metadata,
            duration_seconds=metadata.duration_seconds if metadata.HasField("duration_seconds") else None,
            cfg_scale=request.lm.cfg_scale,
            negative_prompt=request.lm.negative_prompt,
            sampling=sampling,
            model=request.lm_model,
        )

        def start(lm: lm_rpc.LmServiceStub) -> Any:
            limit_s = self.deadline.within(self.settings.codes_timeout_s)
            return lm.GenerateCodes(job, timeout=limit_s, metadata=forwarded())

        return start

    async def _codes(self, song: pb.Song) -> AsyncIterator[pb.GenerateMusicResponse]:
        start, work_s = self._codes_call(song), song_seconds(self.order.request, self.plan)
        rows = GUIDED_ROWS if self.order.request.lm.cfg_scale != 1.0 else 1
        async with self.lm_turns, aclosing(self.stages.lm.events(start, work_s, rows)) as events:
            async for event in events:
                if isinstance(event, Turn):
                    _add_time(song, "lm_queue", event.waited_s)
                    continue
                if isinstance(event, Waiting):
                    yield queued(pb.STAGE_LM, song.song_index, event.status)
                    continue
                if isinstance(event, Lost):
                    song.ClearField("audio_codes")
                    yield retried(pb.STAGE_LM, song.song_index)
                    continue
                kind = event.WhichOneof("event")
                if kind == "codes":
                    song.audio_codes.extend(event.codes.codes)
                elif kind == "result":
                    _add_time(song, "lm_queue", event.result.usage.queue_seconds)
                    song.timings["lm_phase2"] = event.result.usage.run_seconds
                elif kind == "queued":
                    yield queued(pb.STAGE_LM, song.song_index, event.queued)
                elif kind == "progress":
                    yield self._codes_progress(song.song_index, event.progress)
        if not song.audio_codes:
            raise AceError(Kind.INTERNAL, "NO_CODES", "the language model ended before it wrote a code")

    def _codes_progress(self, index: int, progress: lm_pb.LmProgress) -> pb.GenerateMusicResponse:
        expected = progress.expected_token_count if progress.HasField("expected_token_count") else None
        done = min(1.0, progress.token_count / expected) if expected else 0.0
        message = pb.Progress(
            phase=pb.PHASE_CODES,
            song_index=index,
            step_count=progress.token_count,
            total_step_count=expected,
            fraction=self.fraction.reached(pb.PHASE_CODES, index, done),
            tokens_per_second=progress.tokens_per_second,
        )
        if progress.HasField("estimated_remaining_seconds"):
            message.estimated_remaining_seconds = progress.estimated_remaining_seconds
        return pb.GenerateMusicResponse(progress=message)

    def _render_call(self, song: pb.Song) -> Callable[[dit_rpc.DitServiceStub], Any]:
        job = render_job(self.order.request, self.plan, song)

        def start(dit: dit_rpc.DitServiceStub) -> Any:
            limit_s = self.deadline.within(self.settings.render_timeout_s)
            return dit.Render(self._render_requests(job), timeout=limit_s, metadata=forwarded())

        return start

    async def _render(self, song: pb.Song) -> AsyncIterator[SongEvent]:
        await self.unread.room()
        start, work_s = self._render_call(song), song_seconds(self.order.request, self.plan)
        output = self.order.request.output
        file = SongFile(FORMATS[output.audio_format], output.mp3_bits_per_second)
        first_write = 0.0
        turn: Turn | None = None
        try:
            async with aclosing(self.stages.dit.events(start, work_s)) as events:
                async for event in events:
                    if isinstance(event, Turn):
                        turn = event
                        _add_time(song, "dit_queue", turn.waited_s)
                        continue
                    if isinstance(event, Waiting):
                        yield queued(pb.STAGE_DIT, song.song_index, event.status)
                        continue
                    if isinstance(event, Lost):
                        file.discard()
                        file = SongFile(FORMATS[output.audio_format], output.mp3_bits_per_second)
                        song.ClearField("warnings")
                        yield retried(pb.STAGE_DIT, song.song_index)
                        continue
                    kind = event.WhichOneof("event")
                    if kind == "audio":
                        first_write = first_write or time.monotonic()
                        await file.write(event.audio.samples)
                    elif kind == "started":
                        song.resolved_duration_seconds = event.started.duration_seconds
                        song.warnings.extend(event.started.warnings)
                    elif kind == "result":
                        _note_result(song, event.result)
                    elif (told := self._told(song.song_index, event)) is not None:
                        if kind == "live_audio":
                            assert turn is not None
                            # Not read on without room: the diffusion has let the device go by now.
                            await self.unread.live_room(held_up=turn.step_aside)
                        yield told
            data = await file.finish()
        finally:
            file.discard()
        song.audio_sha256 = (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
        song.timings["encoding"] = file.busy_s
        tracing.past("encode", first_write or time.monotonic(), busy_seconds=file.busy_s)
        yield self._encoded(song.song_index)
        yield FinishedSong(data, song, output.audio_format)

    async def _render_requests(self, job: dit_pb.RenderJob) -> AsyncIterator[dit_pb.RenderRequest]:
        yield dit_pb.RenderRequest(job=job)
        if job.has_source_audio:
            async for chunk in self.uploads.chunks(self.order.request.source_audio_id):
                yield dit_pb.RenderRequest(source_audio=chunk)
        if job.has_reference_audio:
            async for chunk in self.uploads.chunks(self.order.request.reference_audio_id):
                yield dit_pb.RenderRequest(reference_audio=chunk)

    def _told(self, index: int, event: dit_pb.RenderResponse) -> pb.GenerateMusicResponse | None:
        """What of a render is told as it comes."""
        kind = event.WhichOneof("event")
        if kind == "queued":
            return queued(pb.STAGE_DIT, index, event.queued)
        if kind == "progress" and event.progress.phase in RENDER_PHASES:
            return self._render_progress(index, event.progress)
        return _live_audio(index, event.live_audio) if kind == "live_audio" else None

    def _render_progress(
        self, index: int, step: dit_pb.RenderResponse.Progress
    ) -> pb.GenerateMusicResponse:
        phase = RENDER_PHASES[step.phase]
        done = step.step_count / max(1, step.total_step_count)
        return pb.GenerateMusicResponse(
            progress=pb.Progress(
                phase=phase,
                song_index=index,
                step_count=step.step_count,
                total_step_count=step.total_step_count,
                fraction=self.fraction.reached(phase, index, done),
            )
        )

    def _encoded(self, index: int) -> pb.GenerateMusicResponse:
        return pb.GenerateMusicResponse(
            progress=pb.Progress(
                phase=pb.PHASE_ENCODING,
                song_index=index,
                step_count=1,
                total_step_count=1,
                fraction=self.fraction.reached(pb.PHASE_ENCODING, index, 1.0),
            )
        )


def _song_error(error: AceError) -> pb.SongError:
    return pb.SongError(
        code=CODES[error.kind].value[0],
        reason=error.reason,
        message=error.message,
        retry_delay_seconds=error.retry_after_s,
        violations=[
            pb.SongError.FieldViolation(field=item.field, rule=item.rule, value=item.value)
            for item in error.violations
        ],
        facts=error.facts,
    )


def _note_result(song: pb.Song, result: dit_pb.RenderResponse.Result) -> None:
    song.actual_duration_seconds = result.duration_seconds
    song.peak_before_normalization = result.peak_before_normalization
    song.silent = result.silent
    song.live_gain = result.live_gain
    song.loudness.CopyFrom(result.loudness)
    if result.HasField("latents"):
        song.latents.CopyFrom(result.latents)
    for phase, seconds in result.timings.items():
        _add_time(song, "dit_queue" if phase == "queue" else phase, seconds)


def _add_time(song: pb.Song, phase: str, seconds: float) -> None:
    """A song may wait twice: for its turn, and in the stage itself."""
    song.timings[phase] += seconds


def _live_audio(index: int, live: dit_pb.RenderResponse.LiveAudio) -> pb.GenerateMusicResponse:
    message = pb.LiveAudio(song_index=index, first_sample=live.first_sample, chunk=live.chunk)
    return pb.GenerateMusicResponse(live_audio=message)


def queued(stage: pb.Stage, index: int | None, status: music_pb2.QueueStatus) -> pb.GenerateMusicResponse:
    return pb.GenerateMusicResponse(queued=pb.Queued(stage=stage, song_index=index, status=status))


def retried(stage: pb.Stage, index: int | None) -> pb.GenerateMusicResponse:
    return pb.GenerateMusicResponse(retried=pb.Retried(stage=stage, song_index=index))


def song_seconds(request: pb.GenerateMusicRequest, plan: pb.Plan) -> float:
    """How much a song asks of a stage: its length, as far as it is known."""
    if plan.metadata.HasField("duration_seconds"):
        return plan.metadata.duration_seconds
    return request.duration_seconds or DEFAULT_DURATION_S
