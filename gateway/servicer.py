"""`MusicService`: admit, check with the stages, hand on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import grpc

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from common.errors import AceError, Kind, invalid, invalid_fields
from common.fields import MAX_VIOLATIONS, FieldChecker
from common.interceptors import Context
from common.music import MAX_CODES
from common.telemetry import REQUEST_ID, new_request_id
from common.tenant import TENANT
from gateway import capabilities, delivery, descriptions, generation, request
from gateway.deadline import Deadline
from gateway.generation import Workshop
from gateway.generations import Generation, Generations, Work, digest_of
from gateway.shelf import Shelf
from gateway.stages import Info

READ_ON_S = 2.0
"""How long a refused upload is read on, to no use but that its caller hears why."""


class MusicServicer(rpc.MusicServiceServicer):
    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        settings = workshop.settings
        self._generations = Generations(
            settings.max_songs,
            settings.kept_s,
            settings.kept_bytes,
            Shelf(settings.max_unread_bytes),
            lambda: workshop.stages.dit.gate.retry_after_s,
        )

    async def GenerateMusic(
        self, message: pb.GenerateMusicRequest, context: Context
    ) -> AsyncIterator[pb.GenerateMusicResponse]:
        digest = digest_of(message)
        work = self._generations.find((TENANT.get(), message.request_id), digest)
        if work is None:
            work = await self._begun(message, digest, Deadline(context.time_remaining()))
        else:
            work.deadline.extend(context.time_remaining())
        async with aclosing(work.listen()) as events:
            async for event in events:
                for response in delivery.messages(event):
                    yield response

    async def _begun(
        self, message: pb.GenerateMusicRequest, digest: bytes, deadline: Deadline
    ) -> Generation:
        """A new generation. Nothing is awaited once the request is known to be good."""
        order = await self._order(message, deadline)
        REQUEST_ID.set(order.request.request_id)
        info = self._workshop.stages.info()
        self._check_against(info, order)
        return self._generations.start(
            (TENANT.get(), message.request_id or new_request_id()),
            Work(
                digest,
                order.song_count,
                deadline,
                lambda unread: generation.generate(self._workshop, info, order, deadline, unread),
            ),
            joinable=bool(message.request_id),
        )

    async def UnderstandMusic(
        self, message: pb.UnderstandMusicRequest, context: Context
    ) -> AsyncIterator[pb.UnderstandMusicResponse]:
        deadline = Deadline(context.time_remaining())
        self._workshop.stages.lm.gate.refuse_if_longer(self._workshop.settings.max_songs)
        async for event in descriptions.understand(self._workshop, message, deadline):
            yield event

    async def CreateSample(
        self, message: pb.CreateSampleRequest, context: Context
    ) -> AsyncIterator[pb.CreateSampleResponse]:
        deadline = Deadline(context.time_remaining())
        self._workshop.stages.lm.gate.refuse_if_longer(self._workshop.settings.max_songs)
        async for event in descriptions.create(self._workshop, message, deadline):
            yield event

    async def FormatSample(
        self, message: pb.FormatSampleRequest, context: Context
    ) -> AsyncIterator[pb.FormatSampleResponse]:
        deadline = Deadline(context.time_remaining())
        self._workshop.stages.lm.gate.refuse_if_longer(self._workshop.settings.max_songs)
        async for event in descriptions.reformat(self._workshop, message, deadline):
            yield event

    async def UploadAudio(
        self, messages: AsyncIterator[pb.UploadAudioRequest], context: Context
    ) -> pb.UploadAudioResponse:
        first = await anext(messages, None)
        if first is None or not first.HasField("header"):
            raise invalid("header", "must come first", "nothing" if first is None else "a chunk")
        announced = first.header.byte_count if first.header.HasField("byte_count") else None

        async def chunks() -> AsyncIterator[bytes]:
            async for message in messages:
                if not message.HasField("chunk"):
                    raise invalid("header", "must come once", "a second header")
                yield message.chunk.data

        try:
            upload = await self._workshop.uploads.add(chunks(), announced)
        except AceError:
            await _read_on(messages)
            raise
        return pb.UploadAudioResponse(
            audio_id=upload.audio_id,
            duration_seconds=upload.duration_s,
            sample_rate_hertz=upload.sample_rate_hz,
            channel_count=upload.channels,
        )

    async def GetCapabilities(
        self, message: pb.GetCapabilitiesRequest, context: Context
    ) -> pb.GetCapabilitiesResponse:
        return capabilities.capabilities(self._workshop.stages.info(), self._workshop.uploads)

    async def _order(self, message: pb.GenerateMusicRequest, deadline: Deadline) -> request.Order:
        """Raises `AceError` (INVALID) with every bad field, the diffusion's included."""
        try:
            return request.order(message, request.lm_defaults(self._workshop.stages.lm_info_or_error()))
        except AceError as error:
            if error.kind is not Kind.INVALID:
                raise
            found = list(error.violations)
            named = {violation.field for violation in found}
            others = await generation.diffusion_violations(self._workshop, message, deadline)
            found += [violation for violation in others if violation.field not in named]
            raise invalid_fields(tuple(found[:MAX_VIOLATIONS]), error.reason) from None

    def _check_against(self, info: Info, order: request.Order) -> None:
        """Check what depends on the loaded models, and name the language model. Raises `AceError`."""
        message = order.request
        model = info.dit_model(message.model)
        check = FieldChecker()
        check.codes("audio_codes", message.audio_codes, model.code_count, MAX_CODES)
        check.done()
        if order.calls.any or message.HasField("lm_model"):
            message.lm_model = info.lm_model(message.lm_model).model.name
        for field in ("source_audio_id", "reference_audio_id"):
            if message.HasField(field):
                self._workshop.uploads.find(field, getattr(message, field))


async def _read_on(messages: AsyncIterator[pb.UploadAudioRequest]) -> None:
    """Take what is still sent, for a while: Python's gRPC loses most answers that come while it sends."""
    with suppress(TimeoutError, AceError):
        async with asyncio.timeout(READ_ON_S):
            async for _ in messages:
                pass


def add_to(server: grpc.aio.Server, workshop: Workshop) -> None:
    rpc.add_MusicServiceServicer_to_server(MusicServicer(workshop), server)
