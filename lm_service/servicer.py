"""`LmService` over an engine: admit, run, translate. No model here."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import grpc

from acestep.lm.v1 import lm_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2_grpc
from common.music import INSTRUMENTAL_LYRICS
from common.slot import Slot
from lm_service import parse, wire
from lm_service.admission import Place
from lm_service.engine import Job, Model
from lm_service.generation import Generations, Record
from lm_service.metadata import Metadata
from lm_service.song import Jobs, Wish
from lm_service.writer import Writer

logger = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class Service:
    """What there is to serve with, once everything is loaded."""

    generations: Generations
    jobs: Jobs

    @property
    def model(self) -> Model:
        return self.jobs.model


class LmServicer(lm_service_pb2_grpc.LmServiceServicer):
    """Every method refuses with UNAVAILABLE until `slot` is filled."""

    def __init__(self, slot: Slot[Service]) -> None:
        self._slot = slot

    async def Plan(self, request: pb.PlanRequest, context: Context) -> AsyncIterator[pb.PlanResponse]:
        service = self._service(request)
        plan, wish = wire.plan(request), wire.wish(request, default_top_p=1.0)
        run = _Run(service, service.jobs.plan(plan, wish), wish)
        async for event in run.text(pb.PlanResponse, plan.fixed):
            yield event
        song = run.song(plan.fixed)
        yield pb.PlanResponse(
            result=pb.PlanResponse.Result(metadata=wire.metadata(song), usage=run.ended())
        )

    async def GenerateCodes(
        self, request: pb.GenerateCodesRequest, context: Context
    ) -> AsyncIterator[pb.GenerateCodesResponse]:
        service = self._service(request)
        song = wire.composition(request, service.model.recommended_cfg_scale)
        wish = wire.wish(request, wire.DEFAULT_CODES_TOP_P)
        run = _Run(service, service.jobs.codes(song, wish), wish)
        sent = 0
        async with aclosing(service.generations.run(run.record)) as steps:
            async for step in steps:
                if isinstance(step, Place):
                    yield pb.GenerateCodesResponse(queued=wire.queued(step))
                    continue
                codes = run.codes(since=sent)
                sent += len(codes)
                yield pb.GenerateCodesResponse(progress=wire.progress(run.record))
                if codes:
                    yield pb.GenerateCodesResponse(codes=pb.GenerateCodesResponse.Codes(codes=codes))
        yield pb.GenerateCodesResponse(
            result=pb.GenerateCodesResponse.Result(code_count=sent, usage=run.ended())
        )

    async def Understand(
        self, request: pb.UnderstandRequest, context: Context
    ) -> AsyncIterator[pb.UnderstandResponse]:
        service = self._service(request)
        wanted = wire.understanding(request, service.model)
        wish = wire.wish(request, default_top_p=1.0)
        run = _Run(service, service.jobs.describe(wanted, wish), wish)
        async for event in run.text(pb.UnderstandResponse, wanted.fixed):
            yield event
        result = pb.UnderstandResponse.Result(description=run.description(), usage=run.ended())
        yield pb.UnderstandResponse(result=result)

    async def CreateSample(
        self, request: pb.CreateSampleRequest, context: Context
    ) -> AsyncIterator[pb.CreateSampleResponse]:
        service = self._service(request)
        wanted, wish = wire.sample(request), wire.wish(request, default_top_p=1.0)
        run = _Run(service, service.jobs.describe(wanted, wish), wish)
        async for event in run.text(pb.CreateSampleResponse, wanted.fixed):
            yield event
        no_lyrics = INSTRUMENTAL_LYRICS if request.instrumental else ""
        description = run.description(wanted.fixed, no_lyrics)
        result = pb.CreateSampleResponse.Result(description=description, usage=run.ended())
        yield pb.CreateSampleResponse(result=result)

    async def FormatSample(
        self, request: pb.FormatSampleRequest, context: Context
    ) -> AsyncIterator[pb.FormatSampleResponse]:
        service = self._service(request)
        wanted, wish = wire.formatting(request), wire.wish(request, default_top_p=1.0)
        run = _Run(service, service.jobs.describe(wanted, wish), wish)
        async for event in run.text(pb.FormatSampleResponse, wanted.fixed):
            yield event
        given = request.lyrics if request.lyrics.strip() else INSTRUMENTAL_LYRICS
        description = run.description(wanted.fixed, given)
        if parse.has_words(given) and not parse.has_words(description.lyrics):
            description.lyrics = given  # a small model answers words that it does not know with tags alone
        result = pb.FormatSampleResponse.Result(description=description, usage=run.ended())
        yield pb.FormatSampleResponse(result=result)

    async def GetModelInfo(
        self, request: pb.GetModelInfoRequest, context: Context
    ) -> pb.GetModelInfoResponse:
        service = self._slot.get()
        admission = service.generations.admission
        return pb.GetModelInfoResponse(
            model=wire.version(service.model),
            code_count=service.model.code_count,
            max_token_count=service.model.max_model_len,
            max_row_count=admission.room.row_count,
            max_queued_count=admission.max_queued,
            recommended_cfg_scale=service.model.recommended_cfg_scale,
        )

    def _service(self, request: wire.Request) -> Service:
        service = self._slot.get()
        wire.check_model(request, service.model)
        return service


class _Run:
    """One call on its way, and what can be read from it so far."""

    def __init__(self, service: Service, job: Job, wish: Wish) -> None:
        self._service = service
        self._wish = wish
        self.record = Record(job)

    async def text(self, response: Callable[..., Response], fixed: Metadata) -> AsyncIterator[Response]:
        """The events of a text, but for its result: places, progress, and fields as they are complete."""
        reported: list[str] = []
        async with aclosing(self._service.generations.run(self.record)) as steps:
            async for step in steps:
                if isinstance(step, Place):
                    yield response(queued=wire.queued(step))
                    continue
                text = self._written()
                song = _with_fixed(parse.metadata(text), fixed)
                for name in parse.complete_fields(text):
                    if name not in reported and song.text(name) is not None:
                        reported.append(name)
                        yield response(field=wire.field(name, song))
                yield response(progress=wire.progress(self.record))

    def codes(self, since: int) -> list[int]:
        window = self._service.model.grammar.window
        tokens = self.record.tokens[since:]
        return [window.code(token) for token in tokens if window.first <= token < window.stop]

    def song(self, fixed: Metadata) -> Metadata:
        return _with_fixed(parse.metadata(self._written()), fixed)

    def description(self, fixed: Metadata | None = None, no_lyrics: str = "") -> pb.SongDescription:
        lyrics = parse.lyrics(self._written()) or no_lyrics
        return pb.SongDescription(metadata=wire.metadata(self.song(fixed or Metadata())), lyrics=lyrics)

    def ended(self) -> pb.LmUsage:
        """Log the call, whose last token is written, and tell what ran."""
        record, phase = self.record, self.record.job.task.outline.phase.value
        logger.info("wrote %d tokens of %s in %.1f s", len(record.tokens), phase, record.run_s)
        if self._wish.debug:
            self._log_decisions()
        return wire.usage(record, self._service.model)

    def _written(self) -> str:
        return self._service.model.vocabulary.decode(self.record.tokens)

    def _log_decisions(self) -> None:
        """What the grammar allowed at each step; never what was written."""
        writer = Writer(self._service.model.grammar, self.record.job.task.outline)
        for step, token in enumerate(self.record.tokens):
            logger.info("step %d: %s", step, writer.allowed().summary())
            writer.advance([token])


def _with_fixed(song: Metadata, fixed: Metadata) -> Metadata:
    """`song` with what the user fixed, to the fraction that the model does not write."""
    given = {name: getattr(fixed, name) for name in Metadata.__slots__}
    return replace(song, **{name: value for name, value in given.items() if value is not None})
