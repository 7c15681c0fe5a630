"""The prompts that the model was trained on, word for word. Source: spec lm.md 2.

One departure from the reference: text that users give never becomes a control token. There,
`<|im_end|>`, `<think>` or `<|audio_code_5|>` inside a caption are read as the model's own
marks; here they are spelled out as ordinary text. All other text keeps the reference's tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from common.music import INSTRUMENTAL_LYRICS
from lm_service import cot
from lm_service.metadata import Metadata
from lm_service.vocabulary import MARK_PATTERN, Vocabulary, code_token

NO_USER_INPUT = "NO USER INPUT"
"""The sentinel for an absent input. As a negative prompt it means that none was given."""

GENERATE = "Generate audio semantic tokens based on the given conditions:"
UNDERSTAND = "Understand the given musical conditions and describe the audio semantics accordingly:"
CREATE = "Expand the user's input into a more detailed and specific musical description:"
FORMAT = "Format the user's input into a more detailed and specific musical description:"

ANSWER = "<|im_start|>assistant\n"


class PromptLayout(Enum):
    """How a prompt for codes ends. Source: spec lm.md 2.5."""

    OPEN_TURN = "open"
    """The codes follow the plan in the same turn, as in training. Unguided rows see no song at all."""
    CLOSED_TURN = "closed"
    """The turn ends after the plan, as the first release had it. Unguided rows keep caption and lyrics."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a prompt: ours, where marks are control tokens, or a user's, where they are text."""

    text: str
    from_user: bool = False


Prompt = tuple[Piece, ...]


def text_of(prompt: Prompt) -> str:
    return "".join(piece.text for piece in prompt)


def encode(prompt: Prompt, vocabulary: Vocabulary) -> tuple[int, ...]:
    """Ids of `prompt`. The text is tokenised as a whole, so the seams between pieces leave no trace.

    A mark that a user wrote is cut after its first character, which hides it from the tokenizer.
    """
    text, cuts = text_of(prompt), [0]
    ours = _spans_of_ours(prompt)
    for match in MARK_PATTERN.finditer(text):
        if match[0] in vocabulary.marks and not any(
            start <= match.start() and match.end() <= stop for start, stop in ours
        ):
            cuts.append(match.start() + 1)
    cuts.append(len(text))
    return tuple(token for start, stop in pairwise(cuts) for token in vocabulary.encode(text[start:stop]))


def _spans_of_ours(prompt: Prompt) -> list[tuple[int, int]]:
    spans, at = [], 0
    for piece in prompt:
        if not piece.from_user:
            spans.append((at, at + len(piece.text)))
        at += len(piece.text)
    return spans


def plan(caption: str, lyrics: str) -> Prompt:
    """Asks for the metadata of a song. This phase is never guided, so it has no counterpart."""
    return (*_system(GENERATE), *_user(*_song(caption, lyrics)), Piece(ANSWER))


def codes(caption: str, lyrics: str, metadata: Metadata, layout: PromptLayout) -> Prompt:
    """Asks for the audio codes of a planned song."""
    return (
        *_system(GENERATE),
        *_user(*_song(caption, lyrics)),
        *_planned(cot.body(metadata), layout),
    )


def codes_unconditional(caption: str, lyrics: str, negative_prompt: str, layout: PromptLayout) -> Prompt:
    """What guidance leads away from. A negative prompt that is absent leaves the song out."""
    given = is_given(negative_prompt)
    if layout is PromptLayout.OPEN_TURN:
        user: tuple[Piece, ...] = (Piece(negative_prompt if given else NO_USER_INPUT, from_user=True),)
    else:
        user = _song(negative_prompt if given else caption, lyrics)
    return (*_system(GENERATE), *_user(*user), *_planned("", layout))


def is_given(negative_prompt: str) -> bool:
    """Whether a negative prompt says anything; blank ones and the sentinel do not."""
    return negative_prompt.strip() not in ("", NO_USER_INPUT)


def understand(audio_codes: Sequence[int]) -> Prompt:
    """Asks what codes sound like; without codes, for an invented example."""
    text = "".join(code_token(code) for code in audio_codes) or NO_USER_INPUT
    return (*_system(UNDERSTAND), *_user(Piece(text)), Piece(ANSWER))


def create(query: str, instrumental: bool) -> Prompt:
    """Asks for a song from a description; a blank one leaves everything to the model."""
    wish = Piece(query if query.strip() else NO_USER_INPUT, from_user=True)
    mark = Piece(f"\n\ninstrumental: {str(instrumental).lower()}")
    return (*_system(CREATE), *_user(wish, mark), Piece(ANSWER))


def rewrite(caption: str, lyrics: str) -> Prompt:
    """Asks for caption and lyrics in the model's own form. Unlike elsewhere, no newline ends the lyrics."""
    song = _song(
        caption if caption.strip() else NO_USER_INPUT, lyrics if lyrics.strip() else INSTRUMENTAL_LYRICS
    )
    return (*_system(FORMAT), *_user(*song[:-1]), Piece(ANSWER))


def _system(instruction: str) -> Prompt:
    return (Piece(f"<|im_start|>system\n# Instruction\n{instruction}\n\n<|im_end|>\n"),)


def _user(*content: Piece) -> Prompt:
    return (Piece("<|im_start|>user\n"), *content, Piece("<|im_end|>\n"))


def _song(caption: str, lyrics: str) -> Prompt:
    return (
        Piece("# Caption\n"),
        Piece(caption, from_user=True),
        Piece("\n\n# Lyric\n"),
        Piece(lyrics, from_user=True),
        Piece("\n"),
    )


def _planned(body: str, layout: PromptLayout) -> Prompt:
    # The body quotes a caption, so its marks are a user's.
    tail = "\n</think>\n\n" + ("<|im_end|>\n" if layout is PromptLayout.CLOSED_TURN else "")
    return (Piece(f"{ANSWER}<think>\n"), Piece(body, from_user=True), Piece(tail))
