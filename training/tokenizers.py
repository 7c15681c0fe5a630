"""The family's tokenizers: byte-level BPE of the words that our songs are described with."""

from collections.abc import Iterator

import numpy as np
from tokenizers import Tokenizer

from dit_service.prompt import INSTRUCTIONS
from model_store.tiny import corpus
from model_store.tiny import tokenizer as layout
from training.captions import describe, lyrics
from training.compose import compose
from training.voices import TRACKS

VOCABULARY = 1024
SONGS = 800


def for_text_encoder() -> Tokenizer:
    return layout.with_end(_trained())


def for_language_model() -> Tokenizer:
    return layout.with_codes(_trained())


def _trained() -> Tokenizer:
    return layout.trained(_texts(), VOCABULARY, min_frequency=2)


def _texts() -> Iterator[str]:
    """Captions, wishes, tags, and the words that all prompts have."""
    for _ in range(40):
        yield from corpus.FIELDS
        yield from corpus.HEADINGS
        yield from INSTRUCTIONS.values()
        yield " ".join(TRACKS).upper()
    for seed in range(SONGS):
        song = compose(seed)
        draw = np.random.default_rng(seed)
        told = describe(song, draw)
        yield from (told.caption, told.query, lyrics(song, draw), f"keyscale: {song.key.name}\n")
