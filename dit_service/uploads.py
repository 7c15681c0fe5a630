"""Gather the files that follow the first message of a call."""

from collections.abc import AsyncIterator

from acestep.dit.v1 import dit_service_pb2 as dit_pb2
from acestep.music.v1 import music_pb2
from common.errors import invalid

MAX_CHUNK_BYTES = 1024 * 1024

Requests = AsyncIterator[dit_pb2.RenderRequest] | AsyncIterator[dit_pb2.EncodeAudioRequest]


async def first_job(requests: AsyncIterator[dit_pb2.RenderRequest]) -> dit_pb2.RenderJob:
    """Raises `AceError` (INVALID) unless the first message is a job."""
    async for request in requests:
        if request.WhichOneof("message") == "job":
            return request.job
        break
    raise invalid("job", "must be the first message", "another message or none")


async def first_header(
    requests: AsyncIterator[dit_pb2.EncodeAudioRequest],
) -> dit_pb2.EncodeAudioRequest.Header:
    """Raises `AceError` (INVALID) unless the first message is a header."""
    async for request in requests:
        if request.WhichOneof("message") == "header":
            return request.header
        break
    raise invalid("header", "must be the first message", "another message or none")


async def read_file(requests: Requests, field: str, max_bytes: int) -> bytes:
    """The file that the rest of the messages carry in `field`, until the caller closes its side.

    Raises `AceError` (INVALID) for any other message, a chunk above 1 MiB, no bytes at all or
    more than `max_bytes`.
    """
    data = bytearray()
    async for request in requests:
        if request.WhichOneof("message") != field:
            raise invalid(field, "must be all that follows", f"{request.WhichOneof('message')} message")
        chunk: music_pb2.FileChunk = getattr(request, field)
        if len(chunk.data) > MAX_CHUNK_BYTES:
            rule = f"must have at most {MAX_CHUNK_BYTES} bytes in a message"
            raise invalid(f"{field}.data", rule, f"{len(chunk.data)} bytes", "CHUNK_TOO_LARGE")
        if len(data) + len(chunk.data) > max_bytes:
            rule = f"must have at most {max_bytes} bytes in all"
            raise invalid(field, rule, f"more than {max_bytes} bytes", "FILE_TOO_LARGE")
        data += chunk.data
    if not data:
        raise invalid(field, "must be uploaded: it was announced or is required", "no bytes")
    return bytes(data)
