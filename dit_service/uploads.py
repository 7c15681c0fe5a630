"""Gather the files that follow the first message of a call."""

from collections.abc import AsyncIterator, Sequence

from acestep.dit.v1 import dit_service_pb2 as dit_pb2
from acestep.music.v1 import music_pb2
from common.errors import invalid
from common.music import MAX_CHUNK_BYTES
from dit_service.audio_in import GatheredFile

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


async def read_files(requests: Requests, fields: Sequence[str], max_bytes: int) -> list[GatheredFile]:
    """The files that the rest of the messages carry in `fields`, one after the other.

    The caller closes its side after the last. Raises `AceError` (INVALID) for any other message
    or order, a chunk above 1 MiB, a file of no bytes at all or of more than `max_bytes`.
    """
    files = {field: GatheredFile() for field in fields}  # read from where they were gathered
    expected = list(fields)
    async for request in requests:
        field = request.WhichOneof("message")
        if field not in expected:
            raise invalid(expected[0], "must be all that follows", f"{field} message")
        del expected[: expected.index(field)]
        chunk: music_pb2.FileChunk = getattr(request, field)
        if len(chunk.data) > MAX_CHUNK_BYTES:
            rule = f"must have at most {MAX_CHUNK_BYTES} bytes in a message"
            raise invalid(f"{field}.data", rule, f"{len(chunk.data)} bytes", "CHUNK_TOO_LARGE")
        if files[field].tell() + len(chunk.data) > max_bytes:
            rule = f"must have at most {max_bytes} bytes in all"
            raise invalid(field, rule, f"more than {max_bytes} bytes", "FILE_TOO_LARGE")
        files[field].write(chunk.data)
    for field, file in files.items():
        if not file.tell():
            raise invalid(field, "must be uploaded: it was announced or is required", "no bytes")
        file.seek(0)
    return list(files.values())
