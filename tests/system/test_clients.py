"""The clients in other languages with the real services."""

import signal
from pathlib import Path

import pytest
import soundfile

from acestep.client import Client
from acestep.gateway.v1 import music_service_pb2 as pb
from tests.clients.conftest import other_client
from tests.clients.languages import NODE, BuiltClient, built
from tests.system.conftest import System
from tests.system.test_song import songs_of

__all__ = ["other_client"]  # the fixture of the clients' tests

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

LONG = ("--caption", "a march", "--duration", "600")
"""Ten minutes: far longer in either stage than any wait in these tests."""


async def test_every_language_makes_the_same_song_from_a_seed(
    other_client: BuiltClient, system: System, client: Client, tmp_path: Path
) -> None:
    request = pb.GenerateMusicRequest(caption="a march", lyrics="[Verse]\nla la", duration_seconds=10.0)
    request.batch.seeds.append(5)
    (ours,) = await songs_of(client, request)

    done = await other_client.run(
        "--caption", "a march", "--lyrics", "[Verse]\nla la", "--duration", "10", "--seed", "5",
        "--output", "theirs.flac", "--address", system.address, cwd=tmp_path,
    )  # fmt: skip

    assert done.code == 0, done.err
    assert "theirs.flac: 10" in done.out
    assert "seed 5" in done.out
    assert all(phase in done.err for phase in ("plan", "codes", "diffusion", "100 %")), done.err
    assert soundfile.info(tmp_path / "theirs.flac").frames == 480_000
    assert (tmp_path / "theirs.flac").read_bytes() == ours.data


async def test_ctrl_c_stops_the_engines(other_client: BuiltClient, system: System, tmp_path: Path) -> None:
    process = await other_client.start(*LONG, cwd=tmp_path, ACESTEP_ADDRESS=system.address)
    assert process.stderr is not None
    async for line in process.stderr:
        if b"codes" in line:
            break

    process.send_signal(signal.SIGINT)
    _, rest = await process.communicate()

    assert process.returncode == 130
    assert rest.decode().splitlines()[-1] == "cancelled"
    await system.until_idle()


@pytest.mark.parametrize("cases", ["capabilities: ", "refusals: ", "songs: a song"])
async def test_another_client_replays_the_conformance_cases(cases: str, system: System) -> None:
    """The others take their time in the engines, and say nothing more of the client."""
    done = await built(NODE).replay("--only", cases, "--address", system.address)

    assert done.code == 0, done.out
    assert ", 0 failed, " in done.out
    assert not done.out.startswith("0 passed")
