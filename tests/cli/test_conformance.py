"""The conformance cases, and the command that replays them: here against servers that do things wrong.

`tests/system/test_conformance.py` replays them against the real services.
"""

import asyncio
import json
import re
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.gateway.v1 import music_service_pb2_grpc as rpc
from acestep.music.v1 import music_pb2
from acestep_serve.conformance.case_files import FOLDER, filled, load
from acestep_serve.conformance.conditions import OPERATORS, BrokenCase, complaints, lookup
from tests.cli.test_access import TOKEN, guarded_gateway
from tests.gateway.conftest import World, world

__all__ = ["world"]  # the fixture of the gateway's tests

ROOT = Path(__file__).parents[2]
README = (ROOT / "conformance/README.md").read_text()
DOCUMENT = {
    "code": "OK",
    "count": "12",
    "files": [{"byte_count": "7"}, {"byte_count": "8"}, {}],
    "progress": [{"fraction": 0.0}, {"fraction": 0.5}, {"fraction": 0.5}],
}


async def conformance(
    *arguments: str, token: str = "", tls: list[str] | None = None
) -> tuple[int | None, Any]:
    """Exit code and report of the command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "acestep_serve", *(tls or []), "conformance", "--json", *arguments),
        env={"ACESTEP_TOKEN": token, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, json.loads(out) if out else err.decode()


def result_of(report: Any, name: str) -> Any:
    (found,) = (case for case in report["cases"] if case["name"] == name)
    return found


@pytest.mark.parametrize(
    ("path", "holds", "fails"),
    [
        ("code", "OK", "INTERNAL"),
        ("code", {"differs": "INTERNAL"}, {"differs": "OK"}),
        ("code", {"matches": "^O"}, {"matches": "^K"}),
        ("code", {"present": True}, {"present": False}),
        ("error", {"present": False}, {"present": True}),
        ("error.reason", "", "QUEUE_FULL"),
        ("error.retry", 0, 1),
        ("count", {"at_least": 12, "at_most": 12}, {"at_least": 12, "at_most": 11}),
        ("count", {"same_as": "count"}, {"same_as": "code"}),
        ("files", {"length": 3}, {"length": 2}),
        ("files[*].byte_count", ["7", "8"], ["8", "7"]),
        ("files[*].byte_count", {"same_members": ["8", "7"]}, {"same_members": ["7"]}),
        ("files[*].byte_count", {"contains": "8"}, {"contains": 8}),
        ("files[*].byte_count", {"begins_with": ["7"]}, {"begins_with": ["8"]}),
        ("files[*].byte_count", {"ends_with": ["8"]}, {"ends_with": ["7"]}),
        ("progress[*].fraction", {"never_falls": True}, {"never_falls": False}),
        ("progress[1].fraction", 0.5, True),
    ],
)
def test_a_condition_holds_or_says_what_was_received(path: str, holds: Any, fails: Any) -> None:
    assert not complaints(DOCUMENT, {path: holds})
    (complaint,) = complaints(DOCUMENT, {path: fails})

    assert str(complaint).startswith(f"{path}: expected ")


def test_fractions_that_fall_are_seen() -> None:
    falling = {"progress": [{"fraction": 0.5}, {"fraction": 0.4}]}

    assert complaints(falling, {"progress[*].fraction": {"never_falls": True}})


@pytest.mark.parametrize(
    ("path", "condition"),
    [
        ("code", {"at_least": 0}),
        ("files", {"at_most": 9}),
        ("files", {"matches": "."}),
        ("files[0]", {"length": 1}),
        ("code", {"contains": "O"}),
        ("code", {"begins_with": ["O"]}),
    ],
)
def test_what_cannot_be_compared_does_not_hold(path: str, condition: Any) -> None:
    assert complaints(DOCUMENT, {path: condition})


@pytest.mark.parametrize(
    "expected", [{"code": {"is": "OK"}}, {"code[x]": "OK"}, {"..[": 1}, {"code": {"matches": "("}}]
)
def test_a_condition_that_says_nothing_breaks_its_case(expected: dict[str, Any]) -> None:
    with pytest.raises(BrokenCase):
        complaints(DOCUMENT, expected)


def test_variables_keep_their_type_or_become_text() -> None:
    variables = {"unique": "a1", "first": {"song": [{"codes": [1, 2]}]}}

    request = filled({"codes": "${first.song[0].codes}", "id": "song-${unique}"}, variables, FOLDER)

    assert request == {"codes": [1, 2], "id": "song-a1"}
    with pytest.raises(BrokenCase, match="second"):
        filled("${second}", variables, FOLDER)


def test_every_case_has_a_name_of_its_own_and_reads_as_json_in_any_language() -> None:
    cases = load()

    assert len({(case.subject, case.name) for case in cases}) == len(cases)
    for case in cases:
        for step in case.steps:
            assert step.expect, case.name
            for path in step.expect:
                lookup({}, path)


def test_every_file_of_the_cases_is_installed_with_the_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    globs = project["tool"]["setuptools"]["package-data"]["acestep_serve.conformance"]
    installed = {path for pattern in globs for path in FOLDER.parent.glob(pattern)}

    assert installed == {path for path in FOLDER.rglob("*") if path.is_file()}


def test_the_readme_tells_every_operator_and_every_field() -> None:
    told = set(re.findall(r"`(\w+)`", README))
    written = json.loads((FOLDER / "interruptions.json").read_text())["cases"]
    fields = {key for case in written for key in (*case, *(key for step in case["steps"] for key in step))}

    assert set(OPERATORS) <= told
    assert fields <= told


class Wrong(rpc.MusicServiceServicer):
    """Says that it can do everything, refuses nothing, and gives the same damaged song to all."""

    async def GetCapabilities(self, request: Any, context: Any) -> pb.GetCapabilitiesResponse:
        tasks = [music_pb2.TASK_COVER, music_pb2.TASK_REPAINT]
        offered = pb.GetCapabilitiesResponse(code_count=1000, lm_models=[music_pb2.ModelVersion()])
        offered.dit_models.add(is_turbo=True, tasks=tasks).model.name = "wrong"
        offered.dit_models[0].defaults.inference_steps = 8
        offered.dit_models[0].defaults.shift = 3.0
        offered.dit_models.add(tasks=[music_pb2.TASK_EXTRACT]).model.name = "wrong too"
        return offered

    async def UploadAudio(self, messages: Any, context: Any) -> pb.UploadAudioResponse:
        return pb.UploadAudioResponse(audio_id="x")

    async def GenerateMusic(self, request: Any, context: Any) -> AsyncIterator[pb.GenerateMusicResponse]:
        for event in (
            {},  # as an event looks that the client does not know
            {"accepted": pb.Accepted(request_id="a b")},
            {"progress": pb.Progress(fraction=0.9)},
            {"progress": pb.Progress(fraction=0.1)},
            {"audio_start": pb.AudioStart(byte_count=9)},
            {"audio": pb.AudioChunk(data=b"abc")},
            {"audio": pb.AudioChunk(offset_bytes=9, data=b"def")},
            {"song": pb.Song(audio_sha256="00", actual_duration_seconds=1.0)},
            {"result": pb.GenerateMusicResult()},
        ):
            yield pb.GenerateMusicResponse(**event)

    async def UnderstandMusic(
        self, request: Any, context: Any
    ) -> AsyncIterator[pb.UnderstandMusicResponse]:
        yield pb.UnderstandMusicResponse(result={})

    async def CreateSample(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield pb.CreateSampleResponse(result={})

    async def FormatSample(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield pb.FormatSampleResponse(result={})


@pytest.fixture
async def wrong_address() -> AsyncIterator[str]:
    server = grpc.aio.server()
    rpc.add_MusicServiceServicer_to_server(Wrong(), server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    yield f"localhost:{port}"
    await server.stop(None)


async def test_a_server_that_does_everything_wrong_passes_no_case(wrong_address: str) -> None:
    code, report = await conformance("--address", wrong_address, token="any")

    assert code == 1
    assert [case["name"] for case in report["cases"] if case["result"] != "failed"] == []


async def test_what_was_expected_and_received_is_told(wrong_address: str) -> None:
    _, report = await conformance("--address", wrong_address, "--only", "progress goes")

    (case,) = report["cases"]
    told = "step 1, GenerateMusic: progress[*].fraction: expected never falls true, received [0.9, 0.1]"
    assert told in case["complaints"]


async def test_a_case_that_is_wrong_fails(world: World, tmp_path: Path) -> None:
    wrong = {
        "name": "any tempo will do",
        "steps": [
            {"method": "GenerateMusic", "request": {"caption": "x", "bpm": 301}, "expect": {"code": "OK"}}
        ],
    }
    unknown = {
        "name": "no such field",
        "steps": [{"method": "GenerateMusic", "request": {"tempo": 1}, "expect": {}}],
    }
    (tmp_path / "tempos.json").write_text(json.dumps({"about": "", "cases": [wrong, unknown]}))

    code, report = await conformance("--address", world.address, "--cases", str(tmp_path))

    assert code == 1
    assert result_of(report, "any tempo will do")["complaints"] == [
        'step 1, GenerateMusic: code: expected equals "OK", received "INVALID_ARGUMENT"',
        "step 1, GenerateMusic: the server said: bpm must be within [30, 300]; received 301",
    ]
    assert "tempo" in result_of(report, "no such field")["complaints"][0]


async def test_files_of_cases_are_beside_them_and_one_that_is_not_there_fails_its_case(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "tone.flac").write_bytes((FOLDER / "audio/tone.flac").read_bytes())
    cases = [
        {
            "name": name,
            "steps": [
                {
                    "method": "UploadAudio",
                    "requests": [{"header": {}}, {"chunk": {"data": f"${{file:{name}}}"}}],
                    "expect": {"response.audio_id": {"matches": "."}},
                }
            ],
        }
        for name in ("tone.flac", "nowhere.flac")
    ]
    (tmp_path / "x.json").write_text(json.dumps({"cases": cases}))

    code, report = await conformance("--address", world.address, "--cases", str(tmp_path))

    assert code == 1
    assert result_of(report, "tone.flac")["result"] == "passed"
    assert "nowhere.flac: No such file" in result_of(report, "nowhere.flac")["complaints"][0]


async def test_a_step_that_has_time_is_tried_again(world: World, tmp_path: Path) -> None:
    step = {"method": "GetCapabilities", "expect": {"response.server_version": ""}, "within_seconds": 0.7}
    (tmp_path / "x.json").write_text(json.dumps({"cases": [{"name": "never", "steps": [step]}]}))

    code, report = await conformance("--address", world.address, "--cases", str(tmp_path))

    assert code == 1
    assert report["cases"][0]["seconds"] >= 0.7


async def test_what_a_server_does_not_have_is_skipped_and_said(world: World) -> None:
    code, report = await conformance("--address", world.address, "--only", "a wrong token")

    assert (code, report["skipped"]) == (0, 1)
    assert report["cases"][0]["complaints"] == ["token: expected equals true, received false"]


async def test_a_gateway_that_asks_for_a_token_is_asked_with_a_wrong_one_too(tmp_path: Path) -> None:
    async with guarded_gateway(tmp_path) as (address, tls):
        code, report = await conformance(
            "--address", address, "--only", "a wrong token", token=TOKEN, tls=tls
        )

    assert (code, report["passed"]) == (0, 1)


async def test_a_server_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    code, said = await conformance("--address", "localhost:1")

    assert code == 3
    assert "no gateway answers at localhost:1" in said


async def test_a_folder_without_cases_and_a_word_that_none_holds_are_refused(tmp_path: Path) -> None:
    assert (await conformance("--cases", str(tmp_path)))[0] == 2
    assert (await conformance("--only", "no such case"))[0] == 2
