"""What the language model reads and writes in training, in the prompts of `lm_service`."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from common.music import CODE_RATE_HZ, UNKNOWN_LANGUAGE
from lm_service import cot, prompt
from lm_service.metadata import Metadata
from lm_service.prompt import PromptLayout
from lm_service.vocabulary import Vocabulary, code_token
from training.captions import describe, lyrics
from training.compose import compose
from training.latents import SONG_S
from training.lessons import LENGTHS_S
from training.song import Song

LONGEST = 400
MODES = {"generate": 0.5, "understand": 0.23, "create": 0.1, "format": 0.1, "unguided": 0.07}
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Score:
    ids: tuple[int, ...]
    asked: int
    """Tokens of the prompt, which are not learnt."""


def score(seed: int, codes: np.ndarray, vocabulary: Vocabulary, draw: np.random.Generator) -> Score:
    """A drawn mode over a piece of a song; `codes` are those of the whole song."""
    song = compose(seed, SONG_S)
    length = int(draw.choice(LENGTHS_S))
    bar = 60 / song.bpm * (2 if song.meter == 6 else song.meter) * CODE_RATE_HZ
    start = round(bar * int(draw.integers(int((len(codes) - length * CODE_RATE_HZ) / bar) + 1)))
    piece = codes[start : start + length * CODE_RATE_HZ].tolist()
    told = describe(song, draw)
    known = Metadata(
        bpm=song.bpm,
        caption=told.caption,
        duration_s=float(length),
        keyscale=song.key.name,
        language=UNKNOWN_LANGUAGE,
        timesignature=str(song.meter),
    )
    mode = str(draw.choice(list(MODES), p=list(MODES.values())))
    asked, text = _texts(mode, song, told.caption, told.query, known, piece, draw)
    whole = vocabulary.encode(text)
    return Score((*whole, vocabulary.end_of_turn), len(vocabulary.encode(asked)))


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


def packed(scores: list[Score]) -> tuple[Tensor, Tensor]:
    """Ids and what should follow each, `[scores, LONGEST]`; longer ones are left out."""
    fitting = [score for score in scores if len(score.ids) <= LONGEST + 1]
    ids = torch.zeros(len(fitting), LONGEST, dtype=torch.long)
    wanted = torch.full((len(fitting), LONGEST), IGNORED)
    for row, score in enumerate(fitting):
        tokens = torch.tensor(score.ids)
        ids[row, : len(tokens) - 1] = tokens[:-1]
        wanted[row, score.asked - 1 : len(tokens) - 1] = tokens[score.asked :]
    return ids, wanted
