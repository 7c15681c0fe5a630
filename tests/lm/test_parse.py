"""Reading what the model wrote, whatever it is."""

import random

import pytest

from lm_service import parse
from lm_service.metadata import Metadata


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


def test_quotes_that_yaml_put_around_a_value_are_removed_and_others_kept() -> None:
    text = "<think>\ncaption: 'It''s: dark'\nlanguage: \"no\"\n</think>"

    assert parse.metadata(text) == Metadata(caption="It's: dark", language="no")
    assert parse.fields("caption: 'a' and 'b'") == {"caption": "'a' and 'b'"}
    assert parse.fields("caption: '") == {"caption": "'"}
    assert parse.fields("caption: ''") == {"caption": "''"}


@pytest.mark.parametrize("heading", ["# Lyric", "# Lyrics", "#LYRIC", "# Languages\nen\n\n# Lyric"])
def test_no_heading_is_left_in_the_lyrics(heading: str) -> None:
    assert parse.lyrics(f"<think></think>\n\n{heading}\n[Verse]\nla<|im_end|>") == "[Verse]\nla"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("a" * 4096, "a" * 4096),
        ("a" * 5000, "a" * 4096),
        ("a" * 4096 + "\nb", "a" * 4096),
        ("a" * 4000 + "\n\n" + "b" * 95, "a" * 4000),
        ("[Verse]\n" + "a" * 4500, "[Verse]\n" + "a" * 4088),
        ("la la\n" * 2000, "la la\n" * 682 + "la"),
        ("a " * 2040 + "[Guitar solo, long]", ("a " * 2040).strip()),
        ("[" + "a" * 5000, "[" + "a" * 4095),
    ],
)
def test_lyrics_longer_than_a_request_may_have_keep_the_words_that_fit(written: str, kept: str) -> None:
    assert parse.lyrics(f"<think></think>\n\n# Lyric\n{written}<|im_end|>") == kept


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
