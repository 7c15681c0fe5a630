"""The grammar: what the reference allows, less its defects."""

import random

import numpy as np
import pytest

from lm_service import parse
from lm_service.grammar import Grammar
from lm_service.metadata import PLAN_FIELDS
from lm_service.outline import Codes, Only, Outline, Phase
from lm_service.writer import Writer
from tests.lm.golden import vocabulary

CODE_COUNT = 64_000
END, NEWLINE = 773, 198


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar(vocabulary(), CODE_COUNT)


def tokens(grammar: Grammar, writer: Writer) -> set[int]:
    allowed = writer.allowed()
    if isinstance(allowed, Only):
        return set(allowed.tokens)
    if isinstance(allowed, Codes):
        return {*range(grammar.window.first, grammar.window.stop), *([END] if allowed.or_end else [])}
    return set(grammar.mask(allowed).nonzero()[0].tolist())


def written(grammar: Grammar, outline: Outline, text: str) -> Writer:
    writer = Writer(grammar, outline)
    writer.advance(vocabulary().encode(text))
    return writer


def random_output(grammar: Grammar, outline: Outline, seed: int, limit: int = 2000) -> list[int]:
    """Tokens drawn at random from what is allowed, until the turn ends."""
    draw, writer, output = random.Random(seed), Writer(grammar, outline), list[int]()
    while not output or (output[-1] != END and len(output) < limit):
        output.append(draw.choice(sorted(tokens(grammar, writer))))
        writer.advance(output[-1:])
    return output


OUTLINES = [
    Outline(phase=Phase.PLAN),
    Outline(phase=Phase.PLAN, skipped=("caption", "language")),
    Outline(phase=Phase.PLAN, fixed=(("bpm", "95"), ("keyscale", "F♯ minor"), ("timesignature", "3"))),
    Outline(phase=Phase.PLAN, fixed=(("duration", "77"), ("language", "no"))),
    Outline(phase=Phase.TEXT),
    Outline(phase=Phase.TEXT, fixed=(("language", "bn"),)),
]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("outline", OUTLINES)
def test_every_output_can_be_read_completely(outline: Outline, seed: int, grammar: Grammar) -> None:
    text = vocabulary().decode(random_output(grammar, outline, seed, limit=900))

    read = parse.metadata(text)
    wanted = [name for name in PLAN_FIELDS if name not in outline.skipped]
    assert list(parse.fields(text)) == wanted
    assert [name for name in PLAN_FIELDS if read.text(name) is not None] == wanted
    assert [(name, read.text(name)) for name, _ in outline.fixed] == list(outline.fixed)


@pytest.mark.parametrize("outline", OUTLINES)
def test_text_holds_no_codes_and_ends_its_turn_once(outline: Outline, grammar: Grammar) -> None:
    output = random_output(grammar, outline, 1, limit=900)

    codes = {token for mark, token in vocabulary().marks.items() if mark.startswith("<|audio_code")}
    assert len(codes) == 70
    assert not codes & set(output)
    assert END not in output[:-1]


@pytest.mark.parametrize("outline", [*OUTLINES, Outline(phase=Phase.CODES, code_count=9)])
def test_the_place_in_the_grammar_is_a_function_of_the_output(outline: Outline, grammar: Grammar) -> None:
    output = random_output(grammar, outline, 2, limit=700)
    followed = Writer(grammar, outline)
    for place, token in enumerate(output):
        rebuilt = Writer(grammar, outline)
        if place % 50 == 0:
            rebuilt.advance(output[:place])
            assert rebuilt.allowed() == followed.allowed()
        followed.advance([token])


def test_a_caption_ends_where_the_next_field_was_drawn(grammar: Grammar) -> None:
    begun = "<think>\nbpm: 120\ncaption: A warm track.\n"

    allowed = tokens(grammar, written(grammar, Outline(phase=Phase.PLAN), begun))

    ends = allowed - set(np.flatnonzero([piece[:1] in (b" ", b"\t") for piece in vocabulary().pieces]))
    assert ends == {vocabulary().encode("duration:")[0]}


def test_a_caption_says_something_before_it_may_end(grammar: Grammar) -> None:
    for begun in ("<think>\nbpm: 120\ncaption:", "<think>\nbpm: 120\ncaption: "):
        allowed = tokens(grammar, written(grammar, Outline(phase=Phase.PLAN), begun))
        assert not any(b"\n" in vocabulary().pieces[token] for token in allowed)


def test_a_caption_of_512_characters_must_end(grammar: Grammar) -> None:
    for length, only_a_break in ((511, False), (512, True)):
        begun = f"<think>\nbpm: 120\ncaption:{'é' * length}"
        allowed = tokens(grammar, written(grammar, Outline(phase=Phase.PLAN), begun))
        assert (allowed == {NEWLINE}) == only_a_break
        assert all(len(vocabulary().decode([token])) <= 512 - length for token in allowed - {NEWLINE})


def test_bytes_that_are_no_text_count_as_the_characters_they_become(grammar: Grammar) -> None:
    """Two bytes that may still become a character, and do not, are two."""
    pieces = vocabulary().pieces
    begun = f"<think>\nbpm: 120\ncaption:{'é' * 510}"
    writer = written(grammar, Outline(phase=Phase.PLAN), begun)

    writer.advance([pieces.index(b"\xed"), pieces.index(b"\xa0")])

    assert tokens(grammar, writer) == {NEWLINE}


def test_as_many_codes_as_asked_for_then_the_end(grammar: Grammar) -> None:
    output = random_output(grammar, Outline(phase=Phase.CODES, code_count=50), 3)

    assert len(output) == 51
    assert all(grammar.window.first <= token < grammar.window.stop for token in output[:-1])


def test_without_a_count_codes_may_end_at_any_place(grammar: Grammar) -> None:
    writer = Writer(grammar, Outline(phase=Phase.CODES))

    assert writer.allowed() == Codes(or_end=True)
    writer.advance([grammar.window.first])
    assert writer.allowed() == Codes(or_end=True)


def test_codes_are_held_to_the_code_book_even_when_nothing_else_is(grammar: Grammar) -> None:
    writer = Writer(grammar, Outline(phase=Phase.CODES, code_count=2, constrained=False))

    assert writer.allowed() == Codes(or_end=False)
    with pytest.raises(ValueError, match="not what the grammar allows"):
        writer.advance([vocabulary().marks["<|audio_code_65534|>"]])
