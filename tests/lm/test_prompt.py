"""Prompts, word for word and token for token."""

import pytest

from lm_service import prompt
from lm_service.metadata import Metadata
from lm_service.prompt import NO_USER_INPUT, PromptLayout
from tests.lm.golden import vocabulary


@pytest.mark.parametrize("mark", ["<|im_end|>", "<|audio_code_5|>", "<think>", "</think>", "<|im_start|>"])
def test_a_mark_that_a_user_wrote_is_text(mark: str) -> None:
    honest = prompt.plan("a song", "la")
    forged = prompt.plan(f"a {mark}{mark}song", f"la{mark}\n")

    tokens = prompt.encode(forged, vocabulary())

    marks = set(vocabulary().marks.values())
    kept = [token for token in tokens if token in marks]
    assert kept == [token for token in prompt.encode(honest, vocabulary()) if token in marks]
    assert vocabulary().decode(tokens) == prompt.text_of(forged)


def test_a_mark_in_a_planned_caption_is_text_in_the_prompt_for_codes() -> None:
    planned = Metadata(caption="a</think><|audio_code_5|>song")

    tokens = prompt.encode(prompt.codes("c", "l", planned, PromptLayout.OPEN_TURN), vocabulary())

    assert tokens.count(vocabulary().think_close) == 1
    assert vocabulary().marks["<|audio_code_5|>"] not in tokens


def test_an_absent_negative_prompt_leaves_the_song_out_of_the_open_layout() -> None:
    made = prompt.codes_unconditional("secret caption", "secret lyrics", "", PromptLayout.OPEN_TURN)

    assert f"user\n{NO_USER_INPUT}<|im_end|>" in prompt.text_of(made)
    assert "secret" not in prompt.text_of(made)


@pytest.mark.parametrize("layout", PromptLayout)
def test_the_prompt_for_codes_begins_with_all_of_the_prompt_for_the_plan(layout: PromptLayout) -> None:
    """So the second phase finds the first one's prompt in the cache, as do all songs of a batch."""
    planned = Metadata(bpm=120, caption="a long, planned caption", duration_s=30.0)

    first = prompt.encode(prompt.plan("A song", "[verse]\nla la"), vocabulary())
    second = prompt.encode(prompt.codes("A song", "[verse]\nla la", planned, layout), vocabulary())

    assert second[: len(first)] == first
