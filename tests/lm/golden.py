"""The small tokenizer of the recorded vectors; `tests/lm/replay` replays the vectors themselves."""

from functools import cache
from pathlib import Path

from lm_service.vocabulary import Vocabulary

FOLDER = Path(__file__).parent.parent / "golden" / "lm"


@cache
def vocabulary() -> Vocabulary:
    """846 tokens, 67 of them in the code book."""
    return Vocabulary.load(FOLDER / "tokenizer")
