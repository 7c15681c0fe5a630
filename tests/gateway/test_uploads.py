"""Uploads: audio in chunks, kept for a while under a name that nobody can guess."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import soundfile

from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from gateway.metrics import UPLOADS_LIMIT_BYTES
from gateway.uploads import Upload, Uploads
from tests.gateway.conftest import World
from tests.gateway.test_generate import song_request, songs_of


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.sin(np.arange(44_100) / 20), 44_100)
    return path


async def test_an_upload_is_described_and_its_id_tells_nothing_of_its_content(
    world: World, tone: Path
) -> None:
    first = await world.client.upload(tone)
    again = await world.client.upload(tone)

    assert first.audio_id != again.audio_id
    assert (first.duration_seconds, first.sample_rate_hertz, first.channel_count) == (1.0, 44_100, 1)


def test_the_limit_of_all_uploads_is_exported(tmp_path: Path) -> None:
    Uploads(tmp_path, 2_000_000, 4_000_000, 60.0)

    assert UPLOADS_LIMIT_BYTES._value.get() == 4_000_000


async def test_a_reference_reaches_the_diffusion_whole(world: World, tone: Path) -> None:
    audio_id = (await world.client.upload(tone)).audio_id

    await songs_of(world.client, song_request(reference_audio_id=audio_id))

    assert world.dit.reference_bytes == tone.stat().st_size


async def test_a_file_is_understood_by_way_of_its_codes(world: World, tone: Path) -> None:
    audio_id = (await world.client.upload(tone)).audio_id

    events = [
        event async for event in world.client.understand(pb.UnderstandMusicRequest(audio_id=audio_id))
    ]

    assert list(events[-1].result.audio_codes) == [tone.stat().st_size % 1000, 7]
    assert list(world.lm.requests[0].audio_codes) == [tone.stat().st_size % 1000, 7]


async def test_what_is_no_audio_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("la la la")

    with pytest.raises(ServiceError) as caught:
        await world.client.upload(path)

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in caught.value.violations] == ["chunk.data"]


async def test_a_file_announced_too_large_is_refused_before_it_is_sent(world: World) -> None:
    requests = [pb.UploadAudioRequest(header=pb.UploadAudioRequest.Header(byte_count=3_000_000))]

    error = await refused(world, requests)

    assert (error.code(), "byte_count" in (error.details() or "")) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        True,
    )


async def test_a_file_that_grows_too_large_is_cut_off(world: World) -> None:
    header = pb.UploadAudioRequest(header=pb.UploadAudioRequest.Header())
    chunk = pb.UploadAudioRequest(chunk=music_pb2.FileChunk(data=bytes(1_000_000)))

    error = await refused(world, [header, chunk, chunk, chunk])

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_refused_upload_is_read_on_so_that_its_caller_hears_why(world: World) -> None:
    sent = 0

    def file() -> Iterator[pb.UploadAudioRequest]:
        nonlocal sent
        yield pb.UploadAudioRequest(header=pb.UploadAudioRequest.Header())
        for _ in range(100):
            sent += 1
            yield pb.UploadAudioRequest(chunk=music_pb2.FileChunk(data=bytes(256 * 1024)))

    error = await refused(world, file())

    assert (error.code(), sent) == (grpc.StatusCode.INVALID_ARGUMENT, 100)


@pytest.mark.parametrize("announced", [-1, 3])
async def test_a_length_that_is_not_the_files_is_refused(world: World, announced: int) -> None:
    header = pb.UploadAudioRequest(header=pb.UploadAudioRequest.Header(byte_count=announced))
    chunk = pb.UploadAudioRequest(chunk=music_pb2.FileChunk(data=other_tone()))

    error = await refused(world, [header, chunk])

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "header.byte_count" in (error.details() or "")


async def test_uploads_that_arrive_together_share_the_room(tmp_path: Path, tone: Path) -> None:
    uploads = Uploads(tmp_path / "kept", 10**6, max_total_bytes=200_000, lifetime_s=60.0)

    outcomes = await asyncio.gather(
        *(uploads.add(chunks(tone.read_bytes()), None) for _ in range(10)), return_exceptions=True
    )

    assert sum(path.stat().st_size for path in (tmp_path / "kept").iterdir()) <= 200_000
    assert {type(outcome) for outcome in outcomes} == {Upload, AceError}


async def test_a_file_that_arrives_takes_its_room_once(tmp_path: Path, tone: Path) -> None:
    uploads = Uploads(tmp_path / "kept", 10**6, max_total_bytes=200_000, lifetime_s=60.0)
    data, written, may_end = tone.read_bytes(), asyncio.Event(), asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        yield data
        written.set()
        await may_end.wait()

    arriving = asyncio.create_task(uploads.add(held(), None))
    await written.wait()

    assert await uploads.add(chunks(data), None)  # after a look at what lies there

    may_end.set()
    assert await arriving


async def test_chunks_without_a_header_are_refused(world: World) -> None:
    error = await refused(world, [pb.UploadAudioRequest(chunk=music_pb2.FileChunk(data=b"RIFF"))])

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_id_that_names_nothing_is_not_found(world: World) -> None:
    for audio_id in ("0" * 32, "../../etc/passwd", ""):
        with pytest.raises(ServiceError) as caught:
            await songs_of(world.client, song_request(reference_audio_id=audio_id))
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.NOT_FOUND, "AUDIO_NOT_FOUND")


async def test_an_upload_expires_when_it_is_not_used(tmp_path: Path, tone: Path) -> None:
    uploads = Uploads(tmp_path / "kept", 10**6, 10**6, lifetime_s=0.0)
    kept = await uploads.add(chunks(tone.read_bytes()), None)

    await uploads.add(chunks(other_tone()), None)

    with pytest.raises(AceError) as caught:
        uploads.find("reference_audio_id", kept.audio_id)
    assert caught.value.kind is Kind.NOT_FOUND


async def test_a_clock_that_jumps_forward_expires_no_upload(tmp_path: Path, tone: Path) -> None:
    uploads = Uploads(tmp_path / "kept", 10**6, 10**6, lifetime_s=60.0)
    kept = await uploads.add(chunks(tone.read_bytes()), None)
    hours_ago(2, tmp_path / "kept" / kept.audio_id)  # which is how its stamp looks after such a jump

    await uploads.add(chunks(other_tone()), None)

    assert uploads.find("reference_audio_id", kept.audio_id)


async def test_what_an_earlier_process_left_expires_by_its_time_stamp(tmp_path: Path, tone: Path) -> None:
    before = Uploads(tmp_path / "kept", 10**6, 10**6, lifetime_s=60.0)
    old, new = [await before.add(chunks(tone.read_bytes()), None) for _ in range(2)]
    hours_ago(2, tmp_path / "kept" / old.audio_id)
    after = Uploads(tmp_path / "kept", 10**6, 10**6, lifetime_s=60.0)

    await after.add(chunks(other_tone()), None)

    assert not (tmp_path / "kept" / old.audio_id).exists()
    assert after.find("reference_audio_id", new.audio_id)


async def test_an_upload_that_is_used_lives_on_for_all_gateways_of_its_folder(
    tmp_path: Path, tone: Path
) -> None:
    one, other = (Uploads(tmp_path / "kept", 10**6, 10**6, lifetime_s=0.5) for _ in range(2))
    kept = await one.add(chunks(tone.read_bytes()), None)
    await other.add(chunks(other_tone()), None)  # it has seen the file
    await asyncio.sleep(0.6)

    one.find("reference_audio_id", kept.audio_id)
    await other.add(chunks(other_tone()), None)

    assert one.find("reference_audio_id", kept.audio_id)


async def test_a_file_in_many_chunks_is_counted_as_it_comes_and_gives_its_room_back(
    tmp_path: Path, tone: Path
) -> None:
    uploads = Uploads(tmp_path / "kept", 10**6, max_total_bytes=100_000, lifetime_s=60.0)
    data = tone.read_bytes()
    pieces = [data[at : at + 1000] for at in range(0, len(data), 1000)]

    async def arriving(times: int) -> AsyncIterator[bytes]:
        for piece in pieces * times:
            yield piece

    with pytest.raises(AceError) as caught:
        await uploads.add(arriving(2), None)

    assert caught.value.reason == "UPLOADS_FULL"
    assert await uploads.add(arriving(1), len(data))


async def test_uploads_are_refused_when_the_store_is_full(tmp_path: Path, tone: Path) -> None:
    uploads = Uploads(tmp_path / "kept", 10**6, max_total_bytes=100_000, lifetime_s=60.0)
    await uploads.add(chunks(tone.read_bytes()), None)

    with pytest.raises(AceError) as caught:
        await uploads.add(chunks(other_tone()), 50_000)
    assert (caught.value.kind, caught.value.reason) == (Kind.OVERLOADED, "UPLOADS_FULL")


def hours_ago(hours: float, path: Path) -> None:
    """Set its time stamp."""
    stamp_ns = path.stat().st_mtime_ns - int(3600e9 * hours)
    os.utime(path, ns=(stamp_ns, stamp_ns))


def other_tone() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(8000) / 10), 8000, format="WAV")
    return buffer.getvalue()


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def refused(world: World, requests: Iterable[pb.UploadAudioRequest]) -> grpc.aio.AioRpcError:
    async with grpc.aio.insecure_channel(world.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.MusicServiceStub(channel).UploadAudio(iter(requests), timeout=10)
    return caught.value
