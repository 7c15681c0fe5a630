"""Understand, create and format: one call to the language model, and its answer in our words."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from acestep.dit.v1 import dit_service_pb2 as dit_pb
from acestep.dit.v1 import dit_service_pb2_grpc as dit_rpc
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2 as lm_pb
from acestep.lm.v1 import lm_service_pb2_grpc as lm_rpc
from acestep.music.v1 import music_pb2
from common.fields import FieldChecker
from common.lm_sampling import check_sampling, with_defaults
from common.music import INSTRUMENTAL_LYRICS, MAX_CAPTION_CHARACTERS, MAX_CODES, MAX_LYRICS_CHARACTERS
from gateway.calls import forwarded
from gateway.deadline import Deadline
from gateway.generation import Workshop
from gateway.pool import Lost, Turn, Waiting
from gateway.stages import TEXT_WORK_S


async def understand(
    workshop: Workshop, request: pb.UnderstandMusicRequest, deadline: Deadline
) -> AsyncIterator[pb.UnderstandMusicResponse]:
    """Describe codes, or an uploaded file by way of its codes. Raises `AceError`."""
    code_count = workshop.stages.lm_info(request.lm_model).code_count
    check = FieldChecker()
    check_sampling(check, "sampling", request.sampling)
    if request.WhichOneof("source") is None:
        check.refuse("source", "must be audio_codes or audio_id", "neither")
    codes: list[int] = list(
        check.codes("audio_codes.codes", request.audio_codes.codes, code_count, MAX_CODES)
    )
    check.done()
    timings = {}
    if request.HasField("audio_id"):
        workshop.uploads.find("audio_id", request.audio_id)
        started = time.monotonic()
        codes = await _codes_of(workshop, request.audio_id, deadline)
        timings["encode"] = time.monotonic() - started
    job = lm_pb.UnderstandRequest(
        audio_codes=codes, sampling=with_defaults(request.sampling, top_p=1.0), model=request.lm_model
    )

    def start(lm: lm_rpc.LmServiceStub) -> Any:
        limit_s = deadline.within(workshop.settings.plan_timeout_s)
        return lm.Understand(job, timeout=limit_s, metadata=forwarded())

    async for event in _described(
        workshop.stages.lm.events(start, TEXT_WORK_S), pb.UnderstandMusicResponse, timings
    ):
        if event.HasField("result"):
            event.result.audio_codes.extend(codes)
        yield event


async def _codes_of(workshop: Workshop, audio_id: str, deadline: Deadline) -> list[int]:
    async def requests() -> AsyncIterator[dit_pb.EncodeAudioRequest]:
        yield dit_pb.EncodeAudioRequest(header=dit_pb.EncodeAudioRequest.Header(codes=True))
        async for chunk in workshop.uploads.chunks(audio_id):
            yield dit_pb.EncodeAudioRequest(audio=chunk)

    def ask(dit: dit_rpc.DitServiceStub) -> Any:
        limit_s = deadline.within(workshop.settings.render_timeout_s)
        return dit.EncodeAudio(requests(), timeout=limit_s, metadata=forwarded())

    encoded: dit_pb.EncodeAudioResponse = await workshop.stages.dit.answer(ask, TEXT_WORK_S)
    return list(encoded.audio_codes)


async def create(
    workshop: Workshop, request: pb.CreateSampleRequest, deadline: Deadline
) -> AsyncIterator[pb.CreateSampleResponse]:
    """Invent a song. Raises `AceError`."""
    check = FieldChecker()
    check.text("query", request.query, MAX_CAPTION_CHARACTERS)
    if request.HasField("vocal_language"):
        check.language("vocal_language", request.vocal_language)
    check_sampling(check, "sampling", request.sampling)
    check.done()
    job = lm_pb.CreateSampleRequest(
        query=request.query,
        instrumental=request.instrumental,
        sampling=with_defaults(request.sampling, top_p=1.0),
        model=request.lm_model,
    )
    if request.HasField("vocal_language"):
        job.vocal_language = request.vocal_language

    def start(lm: lm_rpc.LmServiceStub) -> Any:
        limit_s = deadline.within(workshop.settings.plan_timeout_s)
        return lm.CreateSample(job, timeout=limit_s, metadata=forwarded())

    async for event in _described(
        workshop.stages.lm.events(start, TEXT_WORK_S), pb.CreateSampleResponse, {}
    ):
        if event.HasField("result"):
            event.result.description.instrumental |= request.instrumental
        yield event


async def reformat(
    workshop: Workshop, request: pb.FormatSampleRequest, deadline: Deadline
) -> AsyncIterator[pb.FormatSampleResponse]:
    """Rewrite a caption and lyrics. Raises `AceError`."""
    check = FieldChecker()
    check.text("caption", request.caption, MAX_CAPTION_CHARACTERS)
    check.text("lyrics", request.lyrics, MAX_LYRICS_CHARACTERS)
    fixed = _checked_metadata(check, request.user_metadata)
    check_sampling(check, "sampling", request.sampling)
    check.done()
    job = lm_pb.FormatSampleRequest(
        caption=request.caption,
        lyrics=request.lyrics,
        fixed=fixed,
        sampling=with_defaults(request.sampling, top_p=1.0),
        model=request.lm_model,
    )

    def start(lm: lm_rpc.LmServiceStub) -> Any:
        limit_s = deadline.within(workshop.settings.plan_timeout_s)
        return lm.FormatSample(job, timeout=limit_s, metadata=forwarded())

    async for event in _described(
        workshop.stages.lm.events(start, TEXT_WORK_S), pb.FormatSampleResponse, {}
    ):
        yield event


def _checked_metadata(check: FieldChecker, given: music_pb2.SongMetadata) -> music_pb2.SongMetadata:
    fixed = music_pb2.SongMetadata()
    if given.HasField("bpm"):
        fixed.bpm = check.bpm("user_metadata.bpm", given.bpm)
    if given.HasField("duration_seconds"):
        fixed.duration_seconds = check.duration("user_metadata.duration_seconds", given.duration_seconds)
    if given.HasField("keyscale"):
        fixed.keyscale = check.keyscale("user_metadata.keyscale", given.keyscale)
    if given.HasField("timesignature"):
        fixed.timesignature = check.timesignature("user_metadata.timesignature", given.timesignature)
    if given.HasField("language"):
        fixed.language = check.language("user_metadata.language", given.language)
    if given.HasField("caption"):
        check.refuse("user_metadata.caption", "must be absent: it is what is rewritten", "a caption")
    return fixed


async def _described(
    told: AsyncGenerator[Any, None], response: Any, timings: dict[str, float]
) -> AsyncIterator[Any]:
    """The events of a description, in the words of the method that was called."""
    async with aclosing(told) as events:
        async for event in events:
            if isinstance(event, Waiting):
                yield response(queued=pb.Queued(stage=pb.STAGE_LM, status=event.status))
                continue
            if isinstance(event, Turn):
                continue
            if isinstance(event, Lost):
                continue  # the fields that another replica writes are the same: the seed decides them
            kind = event.WhichOneof("event")
            if kind == "queued":
                yield response(queued=pb.Queued(stage=pb.STAGE_LM, status=event.queued))
            elif kind == "progress":
                yield response(
                    progress=pb.DescriptionProgress(
                        token_count=event.progress.token_count,
                        tokens_per_second=event.progress.tokens_per_second,
                    )
                )
            elif kind == "field":
                yield response(field=pb.PlanField(name=event.field.name, value=event.field.value))
            else:
                description = _description(event.result, timings)
                yield response(result=response.Result(description=description))


def _description(result: Any, timings: dict[str, float]) -> pb.SongDescription:
    lyrics = result.description.lyrics
    return pb.SongDescription(
        metadata=result.description.metadata,
        lyrics=lyrics,
        instrumental=lyrics.strip().lower() == INSTRUMENTAL_LYRICS.lower(),
        seed=result.usage.seed,
        lm_model=result.usage.model,
        timings={**timings, "lm_queue": result.usage.queue_seconds, "lm": result.usage.run_seconds},
    )
