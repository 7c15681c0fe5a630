"""An async client of the gateway.

    async with connect("localhost:50050") as client:
        async for event in client.generate(GenerateMusicRequest(caption="slow piano")):
            ...

Every method raises `acestep.errors.ServiceError`. Leaving a stream early, or cancelling the
task that reads it, cancels the work on the server.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from acestep.music.v1 import music_pb2

CHUNK_BYTES = 256 * 1024
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # the one that this version of gRPC waits by
)


@asynccontextmanager
async def connect(address: str) -> "AsyncIterator[Client]":
    """A client of the gateway at `address`, as gRPC spells it. Connects at the first call."""
    async with grpc.aio.insecure_channel(address, CHANNEL_OPTIONS) as channel:
        yield Client(channel)


class Client:
    """The gateway's methods. `timeout_s` is a deadline for all the work of a call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = rpc.MusicServiceStub(channel)

    def generate(
        self, request: pb.GenerateMusicRequest, timeout_s: float | None = None
    ) -> AsyncIterator[pb.GenerateMusicResponse]:
        """Make songs; yields events as `GenerateMusicResponse` describes."""
        return _events(self._stub.GenerateMusic(request, timeout=timeout_s))

    def understand(
        self, request: pb.UnderstandMusicRequest, timeout_s: float | None = None
    ) -> AsyncIterator[pb.UnderstandMusicResponse]:
        """Describe codes or an uploaded file."""
        return _events(self._stub.UnderstandMusic(request, timeout=timeout_s))

    def create(
        self, request: pb.CreateSampleRequest, timeout_s: float | None = None
    ) -> AsyncIterator[pb.CreateSampleResponse]:
        """Invent a song from a description."""
        return _events(self._stub.CreateSample(request, timeout=timeout_s))

    def format(
        self, request: pb.FormatSampleRequest, timeout_s: float | None = None
    ) -> AsyncIterator[pb.FormatSampleResponse]:
        """Rewrite a caption and lyrics."""
        return _events(self._stub.FormatSample(request, timeout=timeout_s))

    async def upload(self, path: Path, timeout_s: float | None = None) -> pb.UploadAudioResponse:
        """Store an audio file at the gateway. Raises `OSError` if it cannot be read."""

        async def requests() -> AsyncIterator[pb.UploadAudioRequest]:
            yield pb.UploadAudioRequest(header=pb.UploadAudioRequest.Header(byte_count=path.stat().st_size))
            with path.open("rb") as file:
                while data := file.read(CHUNK_BYTES):
                    yield pb.UploadAudioRequest(chunk=music_pb2.FileChunk(data=data))

        path.open("rb").close()  # an unreadable file is the caller's mistake, not the server's
        try:
            stored: pb.UploadAudioResponse = await self._stub.UploadAudio(requests(), timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise ServiceError.from_rpc(error) from None
        return stored

    async def capabilities(self, timeout_s: float | None = 10.0) -> pb.GetCapabilitiesResponse:
        """What can be asked for."""
        try:
            offered: pb.GetCapabilitiesResponse = await self._stub.GetCapabilities(
                pb.GetCapabilitiesRequest(), timeout=timeout_s
            )
        except grpc.aio.AioRpcError as error:
            raise ServiceError.from_rpc(error) from None
        return offered


async def _events(call: Any) -> AsyncIterator[Any]:
    try:
        async for event in call:
            yield event
    except grpc.aio.AioRpcError as error:
        raise ServiceError.from_rpc(error) from None
    finally:
        call.cancel()
