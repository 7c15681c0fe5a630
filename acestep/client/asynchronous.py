"""The client for `async` code."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

import grpc

from acestep.client import audio as audio_files
from acestep.client.audio import Audio
from acestep.client.channel import CHANNEL_OPTIONS, Deadline, Terms, Tls, warn_if_exposed
from acestep.client.requests import LastResult, described, named
from acestep.errors import ServiceError, answer_lost
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from acestep.songs import SongCollector, Songs

UPLOAD_ATTEMPTS = 3

Answer = TypeVar("Answer")
Event = TypeVar("Event")
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Collector(Protocol[Result_co]):
    """Makes one result of a stream of events."""

    def add(self, event: Any) -> object: ...

    def finish(self) -> Result_co: ...


class EventStream(AsyncIterator[Event], Generic[Event, Result]):
    """The events of a call as they come, or, when awaited, what they add up to."""

    def __init__(self, events: AsyncGenerator[Event, None], collector: Collector[Result]) -> None:
        self._events = events
        self._collector = collector

    async def __anext__(self) -> Event:
        return await anext(self._events)

    def __await__(self) -> Generator[Any, None, Result]:
        return self._collected().__await__()

    async def aclose(self) -> None:
        """End the call; the server's work for it is cancelled."""
        await self._events.aclose()

    async def _collected(self) -> Result:
        async with aclosing(self):
            async for event in self:
                self._collector.add(event)
        return self._collector.finish()


@asynccontextmanager
async def connect(
    address: str, *, tls: Tls | None = None, token: str = "", timeout_s: float | None = None
) -> "AsyncIterator[Client]":
    """A client of the gateway at `address`, as gRPC spells it. Connects at the first call.

    Without `tls` the connection can be read on its way; a `token` in it is warned of in the log.
    `timeout_s` is the deadline of calls that name none. Raises `OSError` for a TLS file that cannot
    be read.
    """
    warn_if_exposed(address, tls, token)
    channel = (
        grpc.aio.insecure_channel(address, CHANNEL_OPTIONS)
        if tls is None
        else grpc.aio.secure_channel(address, tls.credentials(), CHANNEL_OPTIONS)
    )
    async with channel:
        yield Client(channel, Terms(token, timeout_s))


class Client:
    """The gateway's methods. `timeout_s` is a deadline for all the work of a call, uploads included."""

    def __init__(self, channel: grpc.aio.Channel, terms: Terms) -> None:
        self._stub = rpc.MusicServiceStub(channel)
        self._terms = terms

    def generate(
        self,
        request: pb.GenerateMusicRequest,
        timeout_s: float | None = None,
        *,
        source: Audio | None = None,
        reference: Audio | None = None,
    ) -> EventStream[pb.GenerateMusicResponse, Songs]:
        """Make songs: from `request`, and from audio that is uploaded for it."""
        deadline = self._terms.deadline(timeout_s)

        async def events() -> AsyncGenerator[pb.GenerateMusicResponse, None]:
            message = named(request)
            if source is not None:
                message.source_audio_id = (await self._upload(source, deadline)).audio_id
            if reference is not None:
                message.reference_audio_id = (await self._upload(reference, deadline)).audio_id
            async with aclosing(_events(self._stub.GenerateMusic, message, deadline)) as answers:
                async for event in answers:
                    yield event

        return EventStream(events(), SongCollector())

    def understand(
        self,
        request: pb.UnderstandMusicRequest | None = None,
        timeout_s: float | None = None,
        *,
        codes: Sequence[int] | None = None,
        audio: Audio | None = None,
    ) -> EventStream[pb.UnderstandMusicResponse, pb.UnderstandMusicResponse.Result]:
        """Describe `codes`, or `audio`, or what `request` names."""
        deadline = self._terms.deadline(timeout_s)

        async def events() -> AsyncGenerator[pb.UnderstandMusicResponse, None]:
            message = described(request, codes)
            if audio is not None:
                message.audio_id = (await self._upload(audio, deadline)).audio_id
            async with aclosing(_events(self._stub.UnderstandMusic, message, deadline)) as answers:
                async for event in answers:
                    yield event

        return EventStream(events(), LastResult[pb.UnderstandMusicResponse.Result]())

    def create(
        self, request: pb.CreateSampleRequest, timeout_s: float | None = None
    ) -> EventStream[pb.CreateSampleResponse, pb.CreateSampleResponse.Result]:
        """Invent a song from a description."""
        events = _events(self._stub.CreateSample, request, self._terms.deadline(timeout_s))
        return EventStream(events, LastResult[pb.CreateSampleResponse.Result]())

    def format(
        self, request: pb.FormatSampleRequest, timeout_s: float | None = None
    ) -> EventStream[pb.FormatSampleResponse, pb.FormatSampleResponse.Result]:
        """Rewrite a caption and lyrics."""
        events = _events(self._stub.FormatSample, request, self._terms.deadline(timeout_s))
        return EventStream(events, LastResult[pb.FormatSampleResponse.Result]())

    async def upload(self, audio: Audio, timeout_s: float | None = None) -> pb.UploadAudioResponse:
        """Store audio at the gateway. Raises `OSError` if a file cannot be read."""
        return await self._upload(audio, self._terms.deadline(timeout_s))

    async def capabilities(self, timeout_s: float | None = 10.0) -> pb.GetCapabilitiesResponse:
        """What can be asked for."""
        call = self._terms.deadline(timeout_s).call()
        return await _answer(self._stub.GetCapabilities(pb.GetCapabilitiesRequest(), **call))

    async def _upload(self, audio: Audio, deadline: Deadline) -> pb.UploadAudioResponse:
        for _ in range(UPLOAD_ATTEMPTS - 1):
            try:
                return await self._upload_once(audio, deadline)
            except grpc.aio.AioRpcError as error:
                if not answer_lost(error):
                    raise ServiceError.from_rpc(error) from None
        return await _answer(self._upload_once(audio, deadline))

    async def _upload_once(self, audio: Audio, deadline: Deadline) -> pb.UploadAudioResponse:
        with audio_files.upload(audio) as messages:
            stored: pb.UploadAudioResponse = await self._stub.UploadAudio(messages, **deadline.call())
        return stored


async def _answer(call: Awaitable[Answer]) -> Answer:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise ServiceError.from_rpc(error) from None


async def _events(
    method: Callable[..., Any], request: object, deadline: Deadline
) -> AsyncGenerator[Any, None]:
    call = method(request, **deadline.call())
    try:
        async for event in call:
            yield event
    except grpc.aio.AioRpcError as error:
        raise ServiceError.from_rpc(error) from None
    finally:
        call.cancel()
