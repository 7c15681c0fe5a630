"""What the language model reads and writes in training, in the prompts of `lm_service`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from common.music import UNKNOWN_LANGUAGE
from lm_service import cot, prompt
from lm_service.metadata import Metadata
from lm_service.prompt import PromptLayout
from lm_service.vocabulary import Vocabulary, code_token
from training.captions import describe, lyrics
from training.song import Song

LONGEST = 320
MODES = {"generate": 0.38, "understand": 0.38, "create": 0.05, "format": 0.06, "unguided": 0.13}
IGNORED = -100
STRESSED, STRESS = ("bpm", "keyscale"), 8.0
"""Fields of a description that only the codes tell; without stress a caption's many words drown them."""


@dataclass(frozen=True, slots=True)
class Score:
    mode: str
    ids: tuple[int, ...]
    asked: int
    """Tokens of the prompt, which are not learnt."""
    stressed: tuple[int, ...] = ()
    """Places of tokens that count `STRESS` times."""


def score(song: Song, codes: Sequence[int], vocabulary: Vocabulary, draw: np.random.Generator) -> Score:
    """A drawn mode over a song; `codes` are all of it."""
    piece, told = list(codes), describe(song, draw)
    known = Metadata(
        bpm=song.bpm,
        caption=told.caption,
        duration_s=song.duration_s,
        keyscale=song.key.name,
        language=UNKNOWN_LANGUAGE,
        timesignature=str(song.meter),
    )
    mode = str(draw.choice(list(MODES), p=list(MODES.values())))
    asked, text = _texts(mode, song, told.caption, told.query, known, piece, draw)
    whole = vocabulary.encode(text)
    stressed = _stressed(text, len(asked), vocabulary) if mode == "understand" else ()
    return Score(mode, (*whole, vocabulary.end_of_turn), len(vocabulary.encode(asked)), stressed)


def _stressed(text: str, answer: int, vocabulary: Vocabulary) -> tuple[int, ...]:
    """Tokens of the values of `STRESSED`; words begin with their space, so that texts split there."""
    places: list[int] = []
    for name in STRESSED:
        at = text.index(f"\n{name}: ", answer) + len(name) + 2
        until = text.index("\n", at)
        places += range(*(len(vocabulary.encode(text[:end])) for end in (at, until)))
    return tuple(places)


def _texts(
    mode: str,
    song: Song,
    caption: str,
    query: str,
    known: Metadata,
    piece: list[int],
    draw: np.random.Generator,
) -> tuple[str, str]:
    """The prompt, and the prompt with its answer."""
    tags, sound = lyrics(song, draw), "".join(map(code_token, piece))
    if mode == "generate":
        wish = caption if draw.random() < 0.7 else query
        asked = prompt.text_of(prompt.plan(wish, tags))
        return asked, prompt.text_of(prompt.codes(wish, tags, known, PromptLayout.OPEN_TURN)) + sound
    if mode == "unguided":
        asked = prompt.text_of(
            prompt.codes_unconditional("", "", prompt.NO_USER_INPUT, PromptLayout.OPEN_TURN)
        )
        return asked, asked + sound
    asked = prompt.text_of(
        {
            "understand": lambda: prompt.understand(piece),
            "create": lambda: prompt.create(query, True),
            "format": lambda: prompt.rewrite(caption if draw.random() < 0.5 else query, tags),
        }[mode]()
    )
    return asked, f"{asked}<think>\n{cot.body(known)}\n</think>\n\n# Lyric\n{tags}"


def packed(scores: list[Score]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, what should follow and how much that counts, `[scores, LONGEST]`; longer scores are left out."""
    fitting = [score for score in scores if len(score.ids) <= LONGEST + 1]
    ids = torch.zeros(len(fitting), LONGEST, dtype=torch.long)
    wanted = torch.full((len(fitting), LONGEST), IGNORED)
    weight = torch.ones(len(fitting), LONGEST)
    for row, score in enumerate(fitting):
        tokens = torch.tensor(score.ids)
        ids[row, : len(tokens) - 1] = tokens[:-1]
        wanted[row, score.asked - 1 : len(tokens) - 1] = tokens[score.asked :]
        weight[row, [place - 1 for place in score.stressed]] = STRESS
    return ids, wanted, weight
