"""From a request to songs: the plan first, which they share, then every song on its own."""

import math
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from acestep import __version__
from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from acestep.music.v1 import music_pb2
from common.errors import AceError, Violation
from common.music import CODE_RATE_HZ, DEFAULT_DURATION_S
from gateway import planning
from gateway.calls import forwarded
from gateway.deadline import Deadline
from gateway.door import Door
from gateway.jobs import in_our_words, render_job
from gateway.merge import merged
from gateway.pool import Lost, Turn, Waiting
from gateway.progress import Fraction
from gateway.request import LM_DEFAULTS, Order
from gateway.settings import Settings
from gateway.shelf import Unread
from gateway.song import FinishedSong, SongEvent, SongMaker, queued, retried
from gateway.stages import TEXT_WORK_S, Info, Stages
from gateway.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every generation works with."""

    stages: Stages
    uploads: Uploads
    settings: Settings
    door: Door = field(default_factory=lambda: Door(None))


async def generate(
    workshop: Workshop, info: Info, order: Order, deadline: Deadline, unread: Unread
) -> AsyncGenerator[SongEvent, None]:
    """Carry out `order`, whose models are known to be loaded.

    Raises `AceError` if a stage refuses or fails, unless at least one song succeeds, and if its
    caller has used up its quota.
    """
    with workshop.door.account.songs(order.song_count, _expected_s(order.request)) as charge:
        async with aclosing(_generated(workshop, info, order, deadline, unread)) as events:
            async for event in events:
                if isinstance(event, FinishedSong) or event.HasField("song"):
                    charge.ended(event.song)
                yield event


def _expected_s(request: pb.GenerateMusicRequest) -> float:
    """About how long a song will be; with a source, nobody has measured it yet."""
    if request.audio_codes:
        return len(request.audio_codes) / CODE_RATE_HZ
    return request.duration_seconds if request.HasField("duration_seconds") else DEFAULT_DURATION_S


async def _generated(
    workshop: Workshop, info: Info, order: Order, deadline: Deadline, unread: Unread
) -> AsyncGenerator[SongEvent, None]:
    started = time.monotonic()
    request = order.request
    warnings = await _check_with_dit(workshop, order, deadline)
    yield pb.GenerateMusicResponse(
        accepted=pb.Accepted(
            request_id=request.request_id,
            effective=_echo(request),
            seeds=[pb.Seeds(lm_seed=seeds.lm, dit_seed=seeds.dit) for seeds in order.seeds],
            warnings=[*order.warnings(), *warnings],
            plan_seed=order.plan_seed,
        )
    )
    fraction = Fraction(order.song_count)
    timings = {"lm_phase1_time": 0.0}
    planned: music_pb2.SongMetadata | None = None
    if order.calls.plan:
        async for event in _plan(workshop, order, deadline, fraction):
            if isinstance(event, lm_pb.PlanResponse.Result):
                planned = event.metadata
                timings["lm_phase1_time"] = event.usage.run_seconds
            else:
                yield event
    plan = planning.combine(request, planned)
    yield pb.GenerateMusicResponse(plan=plan)
    maker = SongMaker(
        order, plan, workshop.stages, workshop.uploads, workshop.settings, deadline, fraction, unread
    )
    songs: list[pb.Song] = []
    making = merged([maker.make(index) for index in range(order.song_count)])
    async with aclosing(making) as song_events:
        async for song_event in song_events:
            if isinstance(song_event, FinishedSong) or song_event.HasField("song"):
                songs.append(song_event.song)
            yield song_event
    if len(maker.errors) == order.song_count:
        raise maker.errors[0]
    result = _result(order, info, plan, songs)
    result.timings.update(_timings(timings, songs))
    result.timings["wall_time"] = time.monotonic() - started
    yield pb.GenerateMusicResponse(result=result)


def _echo(request: pb.GenerateMusicRequest) -> pb.GenerateMusicRequest:
    """What its caller is told of it: all but what is as large as a song."""
    if not request.HasField("source_latents"):
        return request
    echo = pb.GenerateMusicRequest()
    echo.CopyFrom(request)
    echo.ClearField("source_latents")
    return echo


async def _check_with_dit(workshop: Workshop, order: Order, deadline: Deadline) -> list[str]:
    """Have the diffusion check its part, before the language model works for minutes.

    Fills the parameters in use into the order, and returns warnings. Raises `AceError`.
    """
    request = order.request
    # What may be asked of a song with codes differs, and codes may be yet to come: as many as are known.
    codes = [0] * _expected_codes(request) if order.calls.codes else request.audio_codes
    job = render_job(request, planning.combine(request, None), pb.Song(audio_codes=codes))
    if order.calls.codes:
        job.metadata.ClearField("duration_seconds")
    started = await _validated(workshop, job, deadline)
    request.model = started.model.name
    request.diffusion.CopyFrom(started.diffusion)
    return list(started.warnings)


def _expected_codes(request: pb.GenerateMusicRequest) -> int:
    return max(1, math.floor(request.duration_seconds * CODE_RATE_HZ))


async def diffusion_violations(
    workshop: Workshop, request: pb.GenerateMusicRequest, deadline: Deadline
) -> tuple[Violation, ...]:
    """What the diffusion finds wrong with a request that is refused anyway; nothing if it is not there."""
    try:
        await _validated(workshop, _rest_of_job(request), deadline)
    except AceError as error:
        return error.violations
    return ()


def _rest_of_job(request: pb.GenerateMusicRequest) -> dit_pb.RenderJob:
    """What of a request nobody but the diffusion judges."""
    job = dit_pb.RenderJob(model=request.model, diffusion=request.diffusion)
    if request.task not in music_pb2.Task.values():  # without it nothing else can be judged
        return job
    job.task = request.task
    job.tracks.extend(request.tracks)
    job.cover.CopyFrom(request.cover)
    job.repaint.CopyFrom(request.repaint)
    thinks = request.lm.thinking if request.lm.HasField("thinking") else LM_DEFAULTS.thinking
    to_music = request.task in (music_pb2.TASK_UNSPECIFIED, music_pb2.TASK_TEXT2MUSIC)
    job.has_source_audio = request.HasField("source_audio_id") and not to_music
    if request.HasField("source_latents") and not to_music:
        job.source_latents.CopyFrom(request.source_latents)
    if request.audio_codes or (thinks and to_music):
        job.audio_codes.append(0)
    return job


async def _validated(
    workshop: Workshop, job: dit_pb.RenderJob, deadline: Deadline
) -> dit_pb.RenderResponse.Started:
    """What the diffusion would do with `job`. Raises `AceError`, with fields named as ours."""
    job.validate_only = True

    async def requests() -> AsyncIterator[dit_pb.RenderRequest]:
        yield dit_pb.RenderRequest(job=job)

    def start(dit: dit_rpc.DitServiceStub) -> Any:
        limit_s = deadline.within(workshop.settings.info_timeout_s)
        return dit.Render(requests(), timeout=limit_s, metadata=forwarded())

    started = dit_pb.RenderResponse.Started()
    try:
        checking = workshop.stages.dit.events_at_once(start, overdue=lambda: deadline.within(1.0) > 0)
        async with aclosing(checking) as events:
            async for event in events:
                if not isinstance(event, Lost) and event.HasField("started"):
                    started = event.started
    except AceError as error:
        raise in_our_words(error) from None
    return started


async def _plan(
    workshop: Workshop, order: Order, deadline: Deadline, fraction: Fraction
) -> AsyncIterator[pb.GenerateMusicResponse | lm_pb.PlanResponse.Result]:
    request = order.request
    sampling = music_pb2.LmSampling()
    sampling.CopyFrom(request.lm.sampling)
    sampling.seed = order.plan_seed
    job = lm_pb.PlanRequest(
        caption=request.caption,
        lyrics=planning.lyrics(request),
        fixed=planning.given_metadata(request),
        chain_of_thought=request.lm.chain_of_thought,
        sampling=sampling,
        model=request.lm_model,
    )

    def start(lm: lm_rpc.LmServiceStub) -> Any:
        limit_s = deadline.within(workshop.settings.plan_timeout_s)
        return lm.Plan(job, timeout=limit_s, metadata=forwarded())

    async with aclosing(workshop.stages.lm.events(start, TEXT_WORK_S)) as events:
        async for event in events:
            if isinstance(event, Waiting):
                yield queued(pb.STAGE_LM, None, event.status)
                continue
            if isinstance(event, Lost):
                yield retried(pb.STAGE_LM, None)
                continue
            if isinstance(event, Turn):
                continue
            kind = event.WhichOneof("event")
            if kind == "queued":
                yield queued(pb.STAGE_LM, None, event.queued)
            elif kind == "field":
                yield pb.GenerateMusicResponse(
                    plan_field=pb.PlanField(name=event.field.name, value=event.field.value)
                )
            elif kind == "progress":
                yield pb.GenerateMusicResponse(
                    progress=pb.Progress(
                        phase=pb.PHASE_PLAN,
                        step_count=event.progress.token_count,
                        fraction=fraction.reached(pb.PHASE_PLAN, None, 0.0),
                        tokens_per_second=event.progress.tokens_per_second,
                    )
                )
            elif kind == "result":
                yield event.result


def _result(order: Order, info: Info, plan: pb.Plan, songs: list[pb.Song]) -> pb.GenerateMusicResult:
    failed = sum(song.HasField("error") for song in songs)
    return pb.GenerateMusicResult(
        request_id=order.request.request_id,
        plan=plan,
        succeeded_count=len(songs) - failed,
        failed_count=failed,
        dit_model=info.dit_model(order.request.model).model,
        lm_model=info.lm_model("").model if order.calls.any else None,
        vae=info.dit.vae,
        text_encoder=info.dit.text_encoder,
        server_version=__version__,
    )


def _timings(timings: dict[str, float], songs: list[pb.Song]) -> dict[str, float]:
    """Upstream's keys (spec dit.md 5.2). Work of songs that ran side by side is added up."""

    def total(*phases: str) -> float:
        return sum(song.timings[phase] for song in songs for phase in phases if phase in song.timings)

    lm_phase1 = timings["lm_phase1_time"]
    lm_phase2 = total("lm_phase2")
    dit = total("conditioning", "diffusion", "decoding")
    return {
        "lm_phase1_time": lm_phase1,
        "lm_phase2_time": lm_phase2,
        "lm_total_time": lm_phase1 + lm_phase2,
        "dit_total_time_cost": dit,
        "pipeline_total_time": lm_phase1 + lm_phase2 + dit,
        "encoding_time": total("encoding"),
    }
