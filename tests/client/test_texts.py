"""`understand_music`, `create_sample` and `format_sample`. docs/inference_api.md names these tests."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from acestep.inference import (
    CreateSampleResult,
    FormatSampleResult,
    UnderstandResult,
    create_sample,
    format_sample,
    understand_music,
)
from acestep.music.v1 import music_pb2
from common.errors import AceError, Kind
from tests.client.conftest import Studio

CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "UnderstandRequest": (understand_music, {"audio_codes": "<|audio_code_5|>"}),
    "CreateSampleRequest": (create_sample, {"query": "a song"}),
    "FormatSampleRequest": (format_sample, {"caption": "x", "lyrics": "la"}),
}
HEARD: dict[str, Any] = {
    "caption": "LM caption.",
    "bpm": 120,
    "duration": 60.0,
    "keyscale": "F# minor",
    "language": "en",
    "timesignature": "4",
}


async def test_understand_tells_metadata_and_lyrics(studio: Studio) -> None:
    result = await studio.call(understand_music, studio.llm, "<|audio_code_5|><|audio_code_7|>...")

    assert list(studio.asked("UnderstandRequest").audio_codes) == [5, 7]
    assert result == UnderstandResult(
        **HEARD,
        lyrics="[Verse]\nla",
        status_message=result.status_message,
    )
    assert "Generated fields: bpm, caption, duration, keyscale, language, timesignature" in (
        result.status_message
    )


async def test_understand_without_codes_invents_an_example(studio: Studio) -> None:
    result = await studio.call(understand_music, studio.llm, "  ")

    assert result.success
    assert not studio.asked("UnderstandRequest").audio_codes


async def test_create_invents_a_song_and_says_whether_it_is_instrumental(studio: Studio) -> None:
    result = await studio.call(create_sample, studio.llm, "a song", instrumental=True)

    assert studio.asked("CreateSampleRequest").instrumental
    assert result == CreateSampleResult(
        **HEARD, lyrics="[Instrumental]", instrumental=True, status_message=result.status_message
    )


@pytest.mark.parametrize(
    ("language", "forced"), [("bn", "bn"), (" ko ", "ko"), ("Unknown", ""), (None, "")]
)
async def test_create_is_held_to_a_language(studio: Studio, language: str | None, forced: str) -> None:
    await studio.call(create_sample, studio.llm, "a song", vocal_language=language)

    assert studio.asked("CreateSampleRequest").vocal_language == forced


async def test_format_keeps_what_the_user_fixed(studio: Studio) -> None:
    kept = {
        "bpm": "95",
        "duration": 45.5,
        "keyscale": "C major",
        "timesignature": 3,
        "language": "es",
        "x": 1,
    }

    result = await studio.call(format_sample, studio.llm, "Latin pop", "la la", user_metadata=kept)

    assert studio.asked("FormatSampleRequest").fixed == music_pb2.SongMetadata(
        bpm=95, duration_seconds=45.5, keyscale="C major", timesignature="3", language="es"
    )
    assert (studio.asked("FormatSampleRequest").caption, result.lyrics) == ("Latin pop", "la la")
    assert result == FormatSampleResult(**HEARD, lyrics="la la", status_message=result.status_message)


@pytest.mark.parametrize(
    "nothing", [{}, None, {"bpm": 0, "duration": -1, "keyscale": "N/A", "language": ""}]
)
async def test_format_fixes_nothing_where_nothing_is_said(studio: Studio, nothing: Any) -> None:
    await studio.call(format_sample, studio.llm, "x", "la", user_metadata=nothing)

    assert studio.asked("FormatSampleRequest").fixed == music_pb2.SongMetadata()


async def test_format_refuses_metadata_by_its_name(studio: Studio) -> None:
    wrong = await studio.call(format_sample, studio.llm, "x", "la", user_metadata={"bpm": "fast"})
    beyond = await studio.call(format_sample, studio.llm, "x", "la", user_metadata={"duration": 5})

    assert wrong.error == "user_metadata['bpm'] must be a number; received 'fast'"
    assert beyond.error == "user_metadata['duration'] must be within [10, 600]; received 5"


@pytest.mark.parametrize("request_name", CALLS)
@pytest.mark.parametrize(
    ("name", "value", "default"),
    [
        ("temperature", 0.3, 0.85),
        ("top_k", 40, 0),
        ("top_p", 0.5, 1.0),
        ("repetition_penalty", 1.2, 1.0),
        ("use_constrained_decoding", False, True),
        ("constrained_decoding_debug", True, False),
    ],
)
async def test_sampling_reaches_the_language_model(
    studio: Studio, request_name: str, name: str, value: Any, default: Any
) -> None:
    function, arguments = CALLS[request_name]
    await studio.call(function, studio.llm, **arguments)
    assert getattr(studio.asked(request_name).sampling, name) == default

    await studio.call(function, studio.llm, **arguments, **{name: value})
    assert getattr(studio.asked(request_name).sampling, name) == value


@pytest.mark.parametrize("request_name", CALLS)
async def test_a_failure_is_a_result(studio: Studio, request_name: str) -> None:
    function, arguments = CALLS[request_name]
    studio.world.lm.failure = AceError(Kind.OVERLOADED, "QUEUE_FULL", "the queue is full", retry_after_s=5)

    result = await studio.call(function, studio.llm, **arguments)

    assert (result.success, result.caption) == (False, "")
    assert result.error == "the queue is full; try again in 5 s"
    assert result.status_message == f"Error: {result.error}"


@pytest.mark.parametrize("request_name", CALLS)
async def test_a_refused_argument_is_named(studio: Studio, request_name: str) -> None:
    function, arguments = CALLS[request_name]

    beyond = await studio.call(function, studio.llm, **arguments, temperature=9)
    wrong = await studio.call(function, studio.llm, **arguments, top_k="x")

    assert beyond.error == "temperature must be within [0, 2]; received 9"
    assert "top_k and top_p must be numbers" in wrong.error


@pytest.mark.parametrize("kind", [UnderstandResult, CreateSampleResult, FormatSampleResult])
def test_to_dict_of_a_result_holds_every_field(kind: Any) -> None:
    assert list(kind().to_dict()) == [field.name for field in fields(kind)]


async def test_an_answer_without_metadata_is_a_failure(studio: Studio) -> None:
    studio.world.lm.speechless = True

    result = await studio.call(understand_music, studio.llm, "<|audio_code_5|>")

    assert (result.success, result.error) == (False, "Empty metadata returned")
    assert result.status_message == "Failed to understand audio codes"
