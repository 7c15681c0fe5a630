"""Reading what the model wrote, whatever it is."""

import random

import pytest

from lm_service import parse
from lm_service.metadata import Metadata
from tests.lm.golden import Vector, vectors


@vectors("parse_output")
def test_fields_are_read_as_the_reference_reads_them(vector: Vector) -> None:
    expected = {name: str(value) for name, value in vector["expected"]["metadata"].items()}

    assert parse.fields(vector["input"]) == expected


@vectors("extract_lyrics")
def test_lyrics_are_what_follows_the_block(vector: Vector) -> None:
    assert parse.lyrics(vector["input"]) == vector["expected"]


@vectors("small_helpers", but=tuple(f"X{n:02}" for n in (*range(1, 15), *range(18, 45))))
def test_the_lines_of_a_caption_are_joined(vector: Vector) -> None:
    assert parse.fields(f"caption: {vector['input']}")["caption"] == vector["expected"]


@pytest.mark.parametrize(
    "line",
    [
        "bpm: 29",
        "bpm: 120.5",
        "bpm: ١٢٠",
        "bpm: 99999999999999999999",
        "duration: 9",
        "duration: inf",
        "keyscale: Am",
        "language: EN",
        "timesignature: 5",
        f"caption: {'x' * 513}",
    ],
)
def test_an_invalid_value_counts_as_not_written(line: str) -> None:
    assert parse.metadata(f"<think>\n{line}\n</think>") == Metadata()


def test_valid_values_are_typed() -> None:
    text = "<think>\nbpm: 120\ncaption: a\n  b\nduration: 60\nkeyscale: F# minor\nlanguage: no\n</think>"

    assert parse.metadata(text) == Metadata(
        bpm=120, caption="a b", duration_s=60.0, keyscale="F# minor", language="no"
    )


def test_fields_are_complete_when_nothing_can_be_added() -> None:
    assert parse.complete_fields("<think>\nbpm: 12") == []
    assert parse.complete_fields("<think>\nbpm: 120\n") == ["bpm"]
    assert parse.complete_fields("<think>\nbpm: 120\ncaption: a\n") == ["bpm"]
    assert parse.complete_fields("<think>\nbpm: 120\ncaption: a\nduration: 60\n") == [
        "bpm",
        "caption",
        "duration",
    ]
    assert parse.complete_fields("<think>\ncaption: a\n</think>\n\n# Lyric\nkey: no\n") == ["caption"]


def test_anything_can_be_read() -> None:
    bits = ["<think>", "</think>", "\n", ":", "bpm", "caption", " ", "\t", "<|audio_code_1|>", "é\x00", "9"]
    for seed in range(500):
        text = "".join(random.Random(seed).choices(bits, k=30))
        parse.metadata(text)
        parse.lyrics(text)
        parse.complete_fields(text)
