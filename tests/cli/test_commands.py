"""The command as a user runs it: a process, against the real gateway over fake stages."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.gateway.conftest import World, world

__all__ = ["world"]  # the fixture of the gateway's tests


async def run(
    world: World | None, *arguments: str, cwd: Path, address: str = "localhost:1"
) -> tuple[int, str, str]:
    address = world.address if world else address
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
    assert "slow-piano-3.wav  10 s, -14.2 LUFS, true peak -0.5 dBTP, seed 3" in out
    assert "song 2: diffusion" in err
    sidecar = json.loads((tmp_path / "out/slow-piano-4.json").read_text())
    assert sidecar["request"]["diffusion"]["shift"] == 3.0
    assert sidecar["song"]["seeds"] == {"lm_seed": "4", "dit_seed": "4"}
    assert sidecar["plan"]["metadata"]["bpm"] == 120
    assert sidecar["song"]["loudness"] == {"integrated_lufs": -14.25, "true_peak_dbtp": -0.5}
    assert sidecar["result"]["dit_model"] == {"name": "dit-fake", "revision": "r2"}


async def test_a_song_is_made_again_from_its_json_without_the_language_model(
    world: World, tmp_path: Path
) -> None:
    options = ("--duration", "10", "--seeds", "3,0", "--batch-size", "2", "--audio-format", "wav")
    await run(world, "generate", "--caption", "Slow piano!", *options, cwd=tmp_path)
    asked = len(world.lm.requests)

    code, _, err = await run(world, "generate", "--like", "out/slow-piano-0.json", "-o", "b", cwd=tmp_path)

    assert code == 0, err
    assert len(world.lm.requests) == asked
    (again,) = (tmp_path / "b").glob("*.wav")
    assert again.read_bytes() == (tmp_path / "out/slow-piano-0.wav").read_bytes()
    first, second = (job for job in world.dit.jobs if job.seed == 0)
    assert second == first


async def test_what_is_given_beside_like_takes_the_place_of_what_the_song_had(
    world: World, tmp_path: Path
) -> None:
    options = ("--caption", "x", "--duration", "10", "--seed", "1", "--audio-format", "wav")
    await run(world, "generate", *options, cwd=tmp_path)

    code, _, err = await run(
        world, "generate", "--like", "out/x-1.json", "--audio-codes", "4," * 50, "--dit-seeds", "7",
        "--shift", "2", cwd=tmp_path,
    )  # fmt: skip

    assert code == 0, err
    job = world.dit.jobs[-1]
    assert (list(job.audio_codes), job.seed, job.diffusion.shift) == ([4] * 50, 7, 2.0)


async def test_a_song_made_again_is_called_like_the_first_unless_it_gets_another_caption(
    world: World, tmp_path: Path
) -> None:
    await run(world, "generate", "--caption", "x", "--duration", "10", "--seed", "1", cwd=tmp_path)

    for options in ((), ("--caption", "y")):  # the plan has a caption of its own
        last = max((tmp_path / "out").glob("x-1*.json"))
        code, _, err = await run(world, "generate", "--like", str(last), *options, cwd=tmp_path)
        assert code == 0, err

    assert {path.name for path in (tmp_path / "out").glob("*.flac")} == {
        "x-1.flac", "x-1-2.flac", "y-1.flac",
    }  # fmt: skip


async def test_work_that_takes_longer_than_it_may_is_told(world: World, tmp_path: Path) -> None:
    world.dit.gate.close()

    code, _, err = await run(
        world, "generate", "--caption", "x", "--duration", "10", "--timeout", "1", cwd=tmp_path
    )

    assert code == 1
    assert err.endswith("DEADLINE_EXCEEDED it took longer than --timeout allows\n")


async def test_a_note_is_told_once(world: World, tmp_path: Path) -> None:
    options = ("--caption", "x", "--duration", "10", "--no-thinking")

    _, _, err = await run(world, "generate", *options, cwd=tmp_path)

    assert err.count("the song gets the length of its codes") == 1


async def test_nothing_that_was_made_is_overwritten(world: World, tmp_path: Path) -> None:
    for _ in range(2):
        await run(world, "generate", "--caption", "x", "--duration", "10", "--seed", "1", cwd=tmp_path)

    await run(
        world, "generate", "--caption", "x", "--duration", "10", "--seed", "1", "--audio-format", "wav",
        cwd=tmp_path,
    )  # fmt: skip

    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "x-1.flac", "x-1.json", "x-1-2.flac", "x-1-2.json", "x-1-3.wav", "x-1-3.json",
    }  # fmt: skip


async def test_json_output_is_one_object_on_standard_output(world: World, tmp_path: Path) -> None:
    code, out, _ = await run(
        world, "generate", "--caption", "x", "--duration", "10", "--json", cwd=tmp_path
    )

    assert code == 0
    assert json.loads(out)["result"]["dit_model"]["name"] == "dit-fake"


@pytest.mark.parametrize("target", ["live.wav", "-"])
async def test_a_song_is_heard_while_it_is_made(world: World, tmp_path: Path, target: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "acestep_serve", "generate", "--caption", "x", "--duration", "10",
        "--seed", "1", "--audio-format", "wav32", "--stream-to", target, "--address", world.address,
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip

    out, _ = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 0
    live = out if target == "-" else (tmp_path / target).read_bytes()
    heard = np.frombuffer(live[44:], "<f4").reshape(-1, 2)
    song, _ = soundfile.read(tmp_path / "out/x-1.wav", dtype="float32")
    np.testing.assert_allclose(heard * 0.5, song, rtol=1e-6)
    if target != "-":
        info = soundfile.info(tmp_path / target)
        assert (info.subtype, info.frames, info.channels) == ("FLOAT", 480_000, 2)


async def test_a_refused_field_is_shown_and_the_exit_code_is_2(world: World, tmp_path: Path) -> None:
    code, _, err = await run(world, "generate", "--caption", "x", "--bpm", "10", cwd=tmp_path)

    assert code == 2
    assert "--bpm must be within [30, 300]; received 10" in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("generate", "--caption", "x", "--duration", "5"), "--duration must be within [10, 600]"),
        (("generate", "--caption", "x", "--lm-temperature", "9"), "--lm-temperature must be"),
        (("generate", "--caption", "x", "--inference-steps", "99"), "--inference-steps must be"),
        (("generate", "--caption", "x", "--seeds", "-1"), "--seeds (number 1) must be"),
        (("generate", "--caption", "x", "--seed", "-1"), "--seed (number 1) must be"),
        (("generate", "--caption", "x", "--lm-model", "gpt"), "NOT_FOUND --lm-model must be one of"),
        (
            ("generate", "--task-type", "lego", "--src-audio", "a.wav", "--duration", "20"),
            "--duration must",
        ),
        (("create", "x" * 600), "QUERY must have"),
        (("format", "--caption", "x", "--bpm", "7"), "--bpm must be"),
        (("format", "--lyrics", " ", "--bpm", "90"), "give --caption or --lyrics"),
        (("understand", "--audio-codes", "70000"), "--audio-codes (number 1) must be"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
async def test_a_refusal_names_the_option(
    world: World, tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((48_000, 2)), 48_000)

    code, _, err = await run(world, *arguments, cwd=tmp_path)

    assert code == 2
    assert complaint in err


async def test_every_option_that_cannot_be_read_is_named_at_once(world: World, tmp_path: Path) -> None:
    code, _, err = await run(
        world, "generate", "--task-type", "remix", "--infer-method", "x", "--seeds", "1,b", cwd=tmp_path
    )

    assert code == 2
    assert all(option in err for option in ("--task-type", "--infer-method", "--seeds"))


async def test_the_path_of_a_picture_is_told(world: World, tmp_path: Path) -> None:
    code, out, err = await run(
        world, "generate", "--caption", "x", "--duration", "10", "--seed", "1", "--picture", cwd=tmp_path
    )

    assert code == 0, err
    assert (tmp_path / "out/x-1.png").is_file()
    assert "out/x-1.png" in out.splitlines()


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
    assert "guidance 2\n" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--lyrics-file", "nofile"), "--lyrics-file nofile: No such file"),
        (("--lyrics-file", "latin.txt"), "--lyrics-file latin.txt: not UTF-8"),
        (("--lyrics", "la", "--lyrics-file", "latin.txt"), "not both"),
        (("--like", "nofile"), "--like nofile: No such file"),
        (("--like", "latin.txt"), "--like latin.txt: not the .json of a song"),
        (("--reference-audio", "nofile.wav"), "--reference-audio nofile.wav"),
        (("--reference-audio", "latin.txt"), "--reference-audio latin.txt: must be an audio file"),
        (("--output-dir", "latin.txt"), "latin.txt"),
        (("--stream-to", "nofolder/live.wav"), "nofolder"),
        (("--stream-to", "-", "--json"), "not both"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
async def test_a_file_that_cannot_be_used_is_named_before_any_work(
    world: World, tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    (tmp_path / "latin.txt").write_bytes("naïve".encode("latin-1"))

    code, _, err = await run(world, "generate", "--caption", "x", *arguments, cwd=tmp_path)

    assert code == (1 if arguments[0] == "--output-dir" or "nofolder/live.wav" in arguments else 2)
    assert complaint in err
    assert "Traceback" not in err
    assert not world.lm.requests


async def test_a_file_to_understand_that_is_not_there_is_a_refusal(world: World, tmp_path: Path) -> None:
    code, _, err = await run(world, "understand", "--audio", "nofile.wav", cwd=tmp_path)

    assert code == 2
    assert "--audio nofile.wav: No such file or directory" in err


async def test_the_address_of_a_stage_is_said_to_be_no_gateway(world: World, tmp_path: Path) -> None:
    stage = f"localhost:{world.lm_server.port}"

    code, _, err = await run(None, "generate", "--caption", "x", cwd=tmp_path, address=stage)

    assert code == 3
    assert f"what answers at {stage} is no gateway" in err
