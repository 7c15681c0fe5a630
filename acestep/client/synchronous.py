"""The client for code that is not `async`: scripts, threads, notebooks.

It stands on gRPC's own blocking stubs, so that it needs no event loop and minds none.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Generic, TypeVar

import grpc

from acestep.client import audio as audio_files
from acestep.client.asynchronous import Collector
from acestep.client.audio import Audio
from acestep.client.channel import CHANNEL_OPTIONS, Deadline, Terms, Tls, warn_if_exposed
from acestep.client.requests import LastResult, described, named
from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from acestep.songs import SongCollector, Songs

Event = TypeVar("Event")
Result = TypeVar("Result")


class SyncEventStream(Iterator[Event], Generic[Event, Result]):
    """The events of a call as they come, or what they add up to: `result()`."""

    def __init__(self, events: Generator[Event, None, None], collector: Collector[Result]) -> None:
        self._events = events
        self._collector = collector

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """End the call; the server's work for it is cancelled."""
        self._events.close()

    def result(self) -> Result:
        """Wait for the end."""
        with closing(self):
            for event in self:
                self._collector.add(event)
        return self._collector.finish()


def open_channel(address: str, tls: Tls | None) -> grpc.Channel:
    """Raises `OSError` for a TLS file that cannot be read."""
    if tls is None:
        return grpc.insecure_channel(address, CHANNEL_OPTIONS)
    return grpc.secure_channel(address, tls.credentials(), CHANNEL_OPTIONS)


@contextmanager
def connect_sync(
    address: str, *, tls: Tls | None = None, token: str = "", timeout_s: float | None = None
) -> "Iterator[SyncClient]":
    """As `connect`, for code that is not `async`."""
    warn_if_exposed(address, tls, token)
    with open_channel(address, tls) as channel:
        yield SyncClient(channel, Terms(token, timeout_s))


class SyncClient:
    """The gateway's methods, as in `Client`. May be used by several threads at once."""

    def __init__(self, channel: grpc.Channel, terms: Terms) -> None:
        self._stub = rpc.MusicServiceStub(channel)
        self._terms = terms

    def generate(
        self,
        request: pb.GenerateMusicRequest,
        timeout_s: float | None = None,
        *,
        source: Audio | None = None,
        reference: Audio | None = None,
    ) -> SyncEventStream[pb.GenerateMusicResponse, Songs]:
        """Make songs: from `request`, and from audio that is uploaded for it."""
        deadline = self._terms.deadline(timeout_s)

        def events() -> Generator[pb.GenerateMusicResponse, None, None]:
            message = named(request)
            if source is not None:
                message.source_audio_id = self._upload(source, deadline).audio_id
            if reference is not None:
                message.reference_audio_id = self._upload(reference, deadline).audio_id
            yield from _events(self._stub.GenerateMusic, message, deadline)

        return SyncEventStream(events(), SongCollector())

    def understand(
        self,
        request: pb.UnderstandMusicRequest | None = None,
        timeout_s: float | None = None,
        *,
        codes: Sequence[int] | None = None,
        audio: Audio | None = None,
    ) -> SyncEventStream[pb.UnderstandMusicResponse, pb.UnderstandMusicResponse.Result]:
        """Describe `codes`, or `audio`, or what `request` names."""
        deadline = self._terms.deadline(timeout_s)

        def events() -> Generator[pb.UnderstandMusicResponse, None, None]:
            message = described(request, codes)
            if audio is not None:
                message.audio_id = self._upload(audio, deadline).audio_id
            yield from _events(self._stub.UnderstandMusic, message, deadline)

        return SyncEventStream(events(), LastResult[pb.UnderstandMusicResponse.Result]())

    def create(
        self, request: pb.CreateSampleRequest, timeout_s: float | None = None
    ) -> SyncEventStream[pb.CreateSampleResponse, pb.CreateSampleResponse.Result]:
        """Invent a song from a description."""
        events = _events(self._stub.CreateSample, request, self._terms.deadline(timeout_s))
        return SyncEventStream(events, LastResult[pb.CreateSampleResponse.Result]())

    def format(
        self, request: pb.FormatSampleRequest, timeout_s: float | None = None
    ) -> SyncEventStream[pb.FormatSampleResponse, pb.FormatSampleResponse.Result]:
        """Rewrite a caption and lyrics."""
        events = _events(self._stub.FormatSample, request, self._terms.deadline(timeout_s))
        return SyncEventStream(events, LastResult[pb.FormatSampleResponse.Result]())

    def upload(self, audio: Audio, timeout_s: float | None = None) -> pb.UploadAudioResponse:
        """Store audio at the gateway. Raises `OSError` if a file cannot be read."""
        return self._upload(audio, self._terms.deadline(timeout_s))

    def capabilities(self, timeout_s: float | None = 10.0) -> pb.GetCapabilitiesResponse:
        """What can be asked for."""
        call = self._terms.deadline(timeout_s).call()
        offered: pb.GetCapabilitiesResponse = _answer(
            self._stub.GetCapabilities, pb.GetCapabilitiesRequest(), call
        )
        return offered

    def _upload(self, audio: Audio, deadline: Deadline) -> pb.UploadAudioResponse:
        with audio_files.upload(audio) as messages:
            stored: pb.UploadAudioResponse = _answer(self._stub.UploadAudio, messages, deadline.call())
        return stored


def _answer(method: Any, request: object, terms: dict[str, Any]) -> Any:
    try:
        return method(request, **terms)
    except grpc.RpcError as error:
        raise ServiceError.from_rpc(error) from None


def _events(method: Callable[..., Any], request: object, deadline: Deadline) -> Generator[Any, None, None]:
    call = method(request, **deadline.call())
    try:
        yield from call
    except grpc.RpcError as error:
        raise ServiceError.from_rpc(error) from None
    finally:
        call.cancel()
