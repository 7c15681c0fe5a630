"""Recorded behaviour of the reference; the field `about` of the file says how it was recorded."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lm_service.vocabulary import Vocabulary

FOLDER = Path(__file__).parent.parent / "golden" / "lm"

Vector = dict[str, Any]


@cache
def _read() -> dict[str, list[Vector]]:
    groups: dict[str, list[Vector]] = json.loads((FOLDER / "vectors.json").read_text())
    return groups


def vectors(group: str, *, but: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """One test per vector of `group`, named by its id. `but` lists departures."""
    chosen = [vector for vector in _read()[group] if vector["id"] not in but]
    return pytest.mark.parametrize("vector", chosen, ids=[vector["id"] for vector in chosen])


@cache
def vocabulary() -> Vocabulary:
    """The small tokenizer of the vectors: 846 tokens, 67 of them in the code book."""
    return Vocabulary.load(FOLDER / "tokenizer")
