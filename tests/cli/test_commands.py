"""The command as a user runs it: a process, against the real gateway over fake stages."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
import soundfile

from tests.gateway.conftest import World, world

__all__ = ["world"]  # the fixture of the gateway's tests


async def run(world: World | None, *arguments: str, cwd: Path) -> tuple[int, str, str]:
    address = world.address if world else "localhost:1"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "acestep_serve", *arguments, "--address", address,
        cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin", "NO_COLOR": "1"},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_generate_writes_songs_and_all_that_makes_them_again(world: World, tmp_path: Path) -> None:
    code, out, err = await run(
        world, "generate", "--caption", "Slow piano!", "--duration", "10", "--seeds", "3,4",
        "--batch-size", "2", "--audio-format", "wav", cwd=tmp_path,
    )  # fmt: skip

    assert code == 0, err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "slow-piano-3.json", "slow-piano-3.wav", "slow-piano-4.json", "slow-piano-4.wav",
    ]  # fmt: skip
    assert soundfile.info(tmp_path / "out/slow-piano-3.wav").frames == 480_000
    assert "slow-piano-3.wav" in out
    assert "song 2: diffusion" in err
    sidecar = json.loads((tmp_path / "out/slow-piano-4.json").read_text())
    assert sidecar["request"]["diffusion"]["shift"] == 3.0
    assert sidecar["song"]["seeds"] == {"lm_seed": "4", "dit_seed": "4"}


async def test_nothing_that_was_made_is_overwritten(world: World, tmp_path: Path) -> None:
    for _ in range(2):
        await run(world, "generate", "--caption", "x", "--duration", "10", "--seed", "1", cwd=tmp_path)

    assert {path.name for path in (tmp_path / "out").glob("*.flac")} == {"x-1.flac", "x-1-2.flac"}


async def test_json_output_is_one_object_on_standard_output(world: World, tmp_path: Path) -> None:
    code, out, _ = await run(
        world, "generate", "--caption", "x", "--duration", "10", "--json", cwd=tmp_path
    )

    assert code == 0
    assert json.loads(out)["result"]["dit_model"]["name"] == "dit-fake"


async def test_a_refused_field_is_shown_and_the_exit_code_is_2(world: World, tmp_path: Path) -> None:
    code, _, err = await run(world, "generate", "--caption", "x", "--bpm", "10", cwd=tmp_path)

    assert code == 2
    assert "bpm must be within [30, 300]; received 10" in err


async def test_without_a_server_the_exit_code_is_3_and_says_how_to_start_one(tmp_path: Path) -> None:
    code, _, err = await run(None, "generate", "--caption", "x", cwd=tmp_path)

    assert code == 3
    assert "acestep-serve up" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("understand", "--audio-codes", "1,2"),
        ("create", "a song"),
        ("format", "--caption", "x"),
    ],
    ids=lambda arguments: arguments[0],
)
async def test_descriptions_are_shown_as_text(
    world: World, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    code, out, err = await run(world, *arguments, cwd=tmp_path)

    assert code == 0, err
    assert "keyscale: F# minor" in out


async def test_capabilities_are_a_table(world: World, tmp_path: Path) -> None:
    code, out, err = await run(world, "capabilities", cwd=tmp_path)

    assert code == 0, err
    assert "dit-fake" in out
    assert "text2music" in out
