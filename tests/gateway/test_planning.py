"""Which language model calls a request needs: the reference's decisions, and ours where it is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.music.v1 import music_pb2
from gateway import planning, request

VECTORS = json.loads((Path(__file__).parent.parent / "golden/lm/vectors.json").read_text())["decisions"]
DEPARTURES = {
    "D04": "there is always a language model",
    "D09": "no metadata and no planning is no error: the codes follow the caption alone (lm.md Q16)",
    "D16": "a cover without a source is refused, not changed",
    "D19": "a source is followed, not codes, which would take its place (dit.md 2.6)",
    "D21": "the same as D19",
    "D25": "blank values are absent on the wire, not N/A or 0",
    "D27": "the stub's failure, not a decision",
    "D30": "the plan is made once for all chunks (lm.md Q27)",
    "D31": "a chunk size of 0 is refused",
    "D36": "the grammar writes no unreadable duration",
    "D37": "the same as D09",
}
NAMES = {"duration": "duration_seconds"}
CHAIN = {"use_cot_metas", "use_cot_caption", "use_cot_language"}


def as_request(params: dict[str, Any]) -> pb.GenerateMusicRequest:
    message: dict[str, Any] = {
        "caption": "my caption",
        "lyrics": "my lyrics",
        "lm": {"chain_of_thought": {}},
    }
    for name, value in params.items():
        if name == "task_type":
            message["task"] = f"TASK_{value.upper()}"
        elif name == "audio_codes":
            message["audio_codes"] = [9]
        elif name in CHAIN:
            message["lm"]["chain_of_thought"][name] = value
        elif name == "thinking":
            message["lm"]["thinking"] = value
        elif name in ("bpm", "keyscale", "timesignature", "duration"):
            message[NAMES.get(name, name)] = value
    return request.order(ParseDict(message, pb.GenerateMusicRequest())).request


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if v["id"] not in DEPARTURES], ids=lambda vector: vector["id"]
)
def test_the_calls_are_those_of_the_reference(vector: dict[str, Any]) -> None:
    effective = as_request(vector["input"]["params"])

    made = planning.calls(effective)

    phases = {call["phase"] for call in vector["expected"]["lm_calls"]}
    assert made == planning.Calls(plan="cot" in phases, codes="codes" in phases)


def test_without_metadata_and_without_planning_codes_are_written_all_the_same() -> None:
    effective = as_request({"use_cot_metas": False})

    plan = planning.combine(effective, None)

    assert planning.calls(effective) == planning.Calls(plan=False, codes=True)
    assert plan.duration_source == pb.DURATION_SOURCE_LM_CODES
    assert not plan.metadata.HasField("duration_seconds")
    assert not planning.codes_metadata(effective, plan).HasField("duration_seconds")


def test_a_request_of_codes_alone_needs_no_plan() -> None:
    effective = request.order(pb.GenerateMusicRequest(audio_codes=[1] * 60)).request

    assert planning.calls(effective) == planning.Calls(plan=False, codes=False)
    assert planning.combine(effective, None).metadata.duration_seconds == 12.0


def test_the_users_values_win_over_the_plans() -> None:
    effective = as_request({"bpm": 90, "duration": 45.5})
    planned = music_pb2.SongMetadata(bpm=120, duration_seconds=45, keyscale="F# minor", language="en")

    plan = planning.combine(effective, planned)

    assert (plan.metadata.bpm, plan.metadata.duration_seconds) == (90, 45.5)
    assert (plan.metadata.keyscale, plan.metadata.language) == ("F# minor", "en")
    assert plan.metadata.caption == "my caption"


def test_a_song_from_a_source_is_planned_but_follows_no_codes() -> None:
    for task in ("lego", "complete"):
        assert planning.calls(as_request({"task_type": task})) == planning.Calls(plan=True, codes=False)
    for task in ("cover", "repaint", "extract"):
        assert planning.calls(as_request({"task_type": task})) == planning.Calls(plan=False, codes=False)


def test_the_length_of_a_source_is_left_to_the_diffusion() -> None:
    effective = request.order(
        pb.GenerateMusicRequest(task=music_pb2.TASK_LEGO, source_audio_id="a")
    ).request

    plan = planning.combine(effective, music_pb2.SongMetadata(bpm=100, duration_seconds=60))

    assert plan.duration_source == pb.DURATION_SOURCE_SOURCE_AUDIO
    assert not plan.metadata.HasField("duration_seconds")


def test_genres_are_told_and_reach_nobody() -> None:
    plan = planning.combine(as_request({}), music_pb2.SongMetadata(bpm=100, genres="pop"))

    assert plan.lm_metadata.genres == "pop"
    assert not plan.metadata.HasField("genres")


def test_an_instrumental_has_no_language_and_says_so_in_its_lyrics() -> None:
    effective = request.order(pb.GenerateMusicRequest(caption="c", instrumental=True, lyrics="la")).request

    plan = planning.combine(effective, music_pb2.SongMetadata(language="en"))

    assert plan.lyrics == "[Instrumental]"
    assert plan.metadata.language == "unknown"


def test_the_planned_caption_and_language_are_left_out_if_they_are_not_wanted() -> None:
    effective = as_request({"use_cot_caption": False, "use_cot_language": False})

    plan = planning.combine(effective, music_pb2.SongMetadata(caption="LM caption.", language="en"))

    assert (plan.metadata.caption, plan.metadata.language) == ("my caption", "unknown")


def test_a_request_without_any_length_gets_the_default_one() -> None:
    plan = planning.combine(as_request({"thinking": False}), music_pb2.SongMetadata(bpm=100))

    assert plan.metadata.duration_seconds == 120.0
    assert plan.duration_source == pb.DURATION_SOURCE_DEFAULT
