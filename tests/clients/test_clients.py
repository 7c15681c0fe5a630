"""The clients in other languages, at gateways that are secured, full, or not there.

`tests/system/test_clients.py` has them make songs with the real services.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from common.errors import AceError, Kind, Violation
from common.interceptors import CallInterceptor
from tests.cli.test_access import TOKEN, guarded_gateway
from tests.clients.languages import NODE, ROOT, BuiltClient, built

pytestmark = pytest.mark.timeout(400)  # the first test of each language builds its client


async def test_certificates_and_a_token_open_the_gateway(other_client: BuiltClient, tmp_path: Path) -> None:
    async with guarded_gateway(tmp_path) as (address, tls):
        arguments = ("--caption", "x", "--duration", "10", "--address", address, *tls)
        opened = await other_client.run(*arguments, cwd=tmp_path, ACESTEP_TOKEN=TOKEN)
        refused = await other_client.run(*arguments, cwd=tmp_path, ACESTEP_TOKEN="wrong")
        uncertified = await other_client.run(*arguments[:8], cwd=tmp_path, ACESTEP_TOKEN=TOKEN)

    assert opened.code == 0, opened.err
    assert refused.code == 1
    assert "UNAUTHENTICATED" in refused.err
    assert uncertified.code == 1
    assert "UNAVAILABLE" in uncertified.err


class Full(rpc.MusicServiceServicer):
    """Has no room, and says all that can be said of a request."""

    def __init__(self) -> None:
        self.asked: list[pb.GenerateMusicRequest] = []

    async def GenerateMusic(self, request: Any, context: Any) -> AsyncIterator[pb.GenerateMusicResponse]:
        self.asked.append(request)
        raise AceError(
            Kind.OVERLOADED,
            "QUEUE_FULL",
            "8 requests wait",
            violations=(Violation("batch.batch_size", "must be at most 1 now", "2"),),
            retry_after_s=2.5,
        )
        yield


class Endless(rpc.MusicServiceServicer):
    """Works on a song until its caller has enough."""

    def __init__(self) -> None:
        self.working = 0

    async def GenerateMusic(self, request: Any, context: Any) -> AsyncIterator[pb.GenerateMusicResponse]:
        self.working += 1
        try:
            yield pb.GenerateMusicResponse(accepted=pb.Accepted())
            while True:
                yield pb.GenerateMusicResponse(progress=pb.Progress(phase=pb.PHASE_CODES))
                await asyncio.sleep(0.01)
        finally:
            self.working -= 1

    async def until_idle(self) -> None:
        async with asyncio.timeout(10):
            while self.working:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving_music(servicer: rpc.MusicServiceServicer) -> AsyncIterator[str]:
    """Its address."""
    server = grpc.aio.server(interceptors=[CallInterceptor(60.0)])
    rpc.add_MusicServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    yield f"localhost:{port}"
    await server.stop(None)


async def test_a_song_is_cancelled_after_a_while_and_its_server_stops(
    other_client: BuiltClient, tmp_path: Path
) -> None:
    endless = Endless()
    async with serving_music(endless) as address:
        done = await other_client.run(
            "--caption", "x", "--cancel-after", "0.5", "--address", address, cwd=tmp_path
        )
        await endless.until_idle()

    assert done.code == 130, done.err
    assert "codes" in done.err
    assert done.err.splitlines()[-1] == "cancelled"
    assert not list(tmp_path.glob("*.flac"))


async def test_a_deadline_ends_a_song_and_its_server_stops(
    other_client: BuiltClient, tmp_path: Path
) -> None:
    endless = Endless()
    async with serving_music(endless) as address:
        done = await other_client.run(
            "--caption", "x", "--timeout", "2", "--address", address, cwd=tmp_path
        )
        await endless.until_idle()

    assert done.code == 1, done.err
    assert "DEADLINE_EXCEEDED" in done.err.splitlines()[-1]


class Sending(rpc.MusicServiceServicer):
    """Sends a file, and what is said to be known of it, if anything."""

    def __init__(self, data: bytes, song: pb.Song | None) -> None:
        self._data, self._song = data, song

    async def GenerateMusic(self, request: Any, context: Any) -> AsyncIterator[pb.GenerateMusicResponse]:
        yield pb.GenerateMusicResponse(audio_start=pb.AudioStart(byte_count=len(self._data)))
        yield pb.GenerateMusicResponse(audio=pb.AudioChunk(data=self._data))
        if self._song is not None:
            yield pb.GenerateMusicResponse(song=self._song)


@pytest.mark.parametrize(
    ("song", "told"),
    [
        (pb.Song(audio_sha256=sha256(b"another file").hexdigest()), "the song arrived damaged"),
        (pb.Song(error=pb.SongError(message="8 requests wait")), "8 requests wait"),
        (None, "no song came"),
    ],
    ids=["damaged", "failed", "missing"],
)
async def test_a_song_that_is_none_is_not_written(
    other_client: BuiltClient, tmp_path: Path, song: pb.Song | None, told: str
) -> None:
    async with serving_music(Sending(b"a file", song)) as address:
        done = await other_client.run("--caption", "x", "--address", address, cwd=tmp_path)

    assert done.code == 1, done.err
    assert told in done.err
    assert not list(tmp_path.glob("*.flac"))


async def test_reason_bad_fields_and_the_time_to_come_again_are_told(
    other_client: BuiltClient, tmp_path: Path
) -> None:
    async with serving_music(Full()) as address:
        done = await other_client.run("--caption", "x", cwd=tmp_path, ACESTEP_ADDRESS=address)

    assert done.code == 1
    assert done.err.splitlines()[-3:] == [
        "RESOURCE_EXHAUSTED (QUEUE_FULL): 8 requests wait",
        "  batch.batch_size: must be at most 1 now; received 2",
        "  retry in 2.5 s",
    ]
    assert not list(tmp_path.glob("*.flac"))


class Garbled(rpc.MusicServiceServicer):
    """Refuses with details that nobody can read."""

    async def GenerateMusic(self, request: Any, context: Any) -> AsyncIterator[pb.GenerateMusicResponse]:
        details = (("grpc-status-details-bin", b"\xff\xff\xff"),)
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not like this", details)
        yield pb.GenerateMusicResponse()


async def test_details_that_cannot_be_read_hide_nothing_else(
    other_client: BuiltClient, tmp_path: Path
) -> None:
    async with serving_music(Garbled()) as address:
        done = await other_client.run("--caption", "x", "--address", address, cwd=tmp_path)

    assert done.code == 1
    if other_client.language.name == "go":  # grpc-go itself takes such an answer for none
        assert "INTERNAL: transport: malformed grpc-status-details-bin" in done.err
    else:
        assert "INVALID_ARGUMENT: not like this" in done.err


async def test_what_is_given_is_sent_and_what_is_not_is_left_out(
    other_client: BuiltClient, tmp_path: Path
) -> None:
    full = Full()
    async with serving_music(full) as address:
        await other_client.run(
            "--caption", "x", "--duration", "0", "--seed", "0", "--address", address, cwd=tmp_path
        )
        await other_client.run("--lyrics", "la", "--address", address, cwd=tmp_path)

    for request in full.asked:
        assert request.request_id
        request.ClearField("request_id")
    assert full.asked == [
        pb.GenerateMusicRequest(caption="x", duration_seconds=0.0, batch=pb.BatchParams(seeds=[0])),
        pb.GenerateMusicRequest(lyrics="la"),
    ]


async def test_a_gateway_that_is_not_there_is_unavailable(
    other_client: BuiltClient, tmp_path: Path
) -> None:
    done = await other_client.run("--caption", "x", "--address", "localhost:1", cwd=tmp_path)

    assert done.code == 1
    assert "UNAVAILABLE" in done.err


async def test_a_certificate_that_is_not_there_is_named(other_client: BuiltClient, tmp_path: Path) -> None:
    done = await other_client.run("--caption", "x", "--tls-ca", "no-such.pem", cwd=tmp_path)

    assert done.code == 1
    assert "no-such.pem" in done.err


async def test_half_a_pair_for_tls_is_refused(other_client: BuiltClient, tmp_path: Path) -> None:
    (tmp_path / "own.pem").touch()

    done = await other_client.run("--caption", "x", "--tls-certificate", "own.pem", cwd=tmp_path)

    assert done.code == 1
    assert "a certificate and its key must be given together" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--captoin", "x"), "captoin"),
        (("--caption", "x", "song"), "song"),
        (("--caption", "x", "--duration", "10x"), "10x"),
        (("--caption", "x", "--seed", "0.5"), "0.5"),
    ],
    ids=["option", "word", "duration", "seed"],
)
async def test_a_mistake_on_the_command_line_is_told(
    other_client: BuiltClient, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = await other_client.run(*arguments, cwd=tmp_path)

    assert done.code == 2
    assert told in done.err


def test_stubs_leave_what_else_is_in_a_folder(tmp_path: Path) -> None:
    built(NODE)  # brings the plugin
    (tmp_path / "mine.ts").touch()

    subprocess.run([ROOT / "scripts/stubs", "node", tmp_path], check=True)

    assert (tmp_path / "mine.ts").exists()
    assert (tmp_path / "acestep/gateway/v1/music_service_pb.ts").exists()


def test_the_lock_file_of_node_names_no_registry() -> None:
    """npm then asks the one that its user has set."""
    lock = (NODE.folder / "package-lock.json").read_text()

    assert '"integrity"' in lock
    assert '"resolved"' not in lock
