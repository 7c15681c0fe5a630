"""Cancellation, deadlines and vanished clients: the engines are free again, and the next song works."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from acestep.client import Client
from acestep.errors import ServiceError
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from tests.system.conftest import System
from tests.system.test_song import song_request, songs_of

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]


def long_song() -> pb.GenerateMusicRequest:
    """Ten minutes: far longer in either stage than any wait in these tests."""
    return song_request(1, duration_seconds=600.0)


def long_render() -> pb.GenerateMusicRequest:
    """The same for the diffusion alone."""
    diffusion = music_pb2.DiffusionParams(inference_steps=20)
    return song_request(1, duration_seconds=600.0, diffusion=diffusion, lm=pb.LmParams(thinking=False))


async def abandon_in(client: Client, request: pb.GenerateMusicRequest, phase: pb.Phase) -> None:
    """Leave the stream at the first progress in `phase`, which cancels the call."""
    events = client.generate(request, timeout_s=120)
    async for event in events:
        if event.HasField("progress") and event.progress.phase == phase:
            break
    await events.aclose()


async def test_a_song_cancelled_while_its_codes_are_written_frees_the_engine(
    system: System, client: Client
) -> None:
    await abandon_in(client, long_song(), pb.PHASE_CODES)

    await system.until_idle()
    assert await songs_of(client, song_request(2))


async def test_a_song_cancelled_in_the_diffusion_frees_the_device(system: System, client: Client) -> None:
    await abandon_in(client, long_render(), pb.PHASE_DIFFUSION)

    await system.until_idle()
    assert await songs_of(client, song_request(2))


async def test_a_deadline_ends_the_work_in_the_stages(system: System, client: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        async for _ in client.generate(long_song(), timeout_s=3.0):
            pass

    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await system.until_idle()
    assert await songs_of(client, song_request(2))


@contextmanager
def running_command(system: System, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """`acestep-serve generate` of a long song, once it writes codes."""
    command = system.command(
        "generate", "--caption", "x", "--duration", "600", "--bpm", "100", "--keyscale", "C major",
        "--timesignature", "4",
    )  # fmt: skip
    with subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "writing codes" in line:
                break
        yield process


@pytest.mark.parametrize(("signum", "exit_code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
async def test_a_client_that_stops_or_vanishes_stops_the_work(
    system: System, client: Client, tmp_path: Path, signum: signal.Signals, exit_code: int
) -> None:
    with running_command(system, tmp_path) as process:
        process.send_signal(signum)
        assert await asyncio.to_thread(process.wait) == exit_code

    await system.until_idle()
    assert await songs_of(client, song_request(2))
