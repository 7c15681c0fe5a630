"""The grammar of the model's output, compiled once per tokenizer and shared by all requests.

Source: spec lm.md 3. Departures, each for a defect listed there in section 7:

* Field names are split as the tokenizer splits them, not by longest prefixes (Q14).
* The token that is *drawn* after a line break of a caption decides whether the caption goes on:
  an indent continues it, the first token of the next field ends it, nothing else is allowed.
  So no field is lost, skipped ones cannot be reached, and no field is written twice (Q7, Q9, Q10).
* A caption cannot be empty, cannot hold control marks or codes beyond the code book, cannot end
  the turn (Q6, Q8), and has at most 512 characters rather than 512 tokens. `<` is left to marks.
* The language is drawn like every other value, not the most probable one.
* Genres are not written: their vocabulary is not published (Q11, Q12, Q13).
* Free text holds no control marks and no codes at all, those beyond the code book included (Q6).
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from common.music import (
    KEYSCALES,
    LANGUAGES,
    MAX_BPM,
    MAX_DURATION_S,
    MIN_BPM,
    MIN_DURATION_S,
    TIMESIGNATURES,
)
from lm_service.outline import Text, TextKind
from lm_service.vocabulary import Vocabulary

Mask = npt.NDArray[np.bool_]
"""`[vocabulary size]`: which tokens are allowed."""

LONGEST_PIECE = 32
"""Captions use no longer pieces, in characters; those that exist are runs of blanks or dashes."""

VALUES: dict[str, tuple[str, ...]] = {
    "bpm": tuple(str(bpm) for bpm in range(MIN_BPM, MAX_BPM + 1)),
    "duration": tuple(str(seconds) for seconds in range(int(MIN_DURATION_S), int(MAX_DURATION_S) + 1)),
    "keyscale": KEYSCALES,
    "language": LANGUAGES,
    "timesignature": TIMESIGNATURES,
}
"""Every value of the fields that have few. Source: spec lm.md 3.2."""


class Trie(dict[int, "Trie"]):
    """Tokens that may follow, and what may follow them; empty after the last token of a value."""

    def insert(self, tokens: Iterable[int]) -> None:
        node = self
        for token in tokens:
            node = node.setdefault(token, Trie())


class Grammar:
    """What tokens may stand where. Holds no state of any request."""

    def __init__(self, vocabulary: Vocabulary, code_count: int) -> None:
        self.vocabulary = vocabulary
        self.window = vocabulary.code_window(code_count)
        self.values = {name: self._trie(name, values) for name, values in VALUES.items()}
        pieces = [piece.decode(errors="replace") for piece in vocabulary.pieces]
        self._lengths = np.array([len(piece) for piece in pieces])
        self._is_mark = np.zeros(vocabulary.size, np.bool_)
        self._is_mark[list(vocabulary.marks.values())] = True
        self._holds = {sign: np.array([sign in piece for piece in pieces]) for sign in "\n\r<"}
        self._indents = np.array([piece[:1] in (" ", "\t") for piece in pieces])
        self._ends_line = np.array([piece.count("\n") == 1 and piece.endswith("\n") for piece in pieces])
        self._visible = np.array(["\ufffd" not in piece and bool(piece.strip()) for piece in pieces])
        self._is_space = np.array([piece == " " for piece in pieces])
        self._is_backtick = np.array([piece == "`" for piece in pieces])

    def name(self, field: str) -> tuple[int, ...]:
        """The tokens that begin `field`: its name and the colon."""
        return self.vocabulary.encode(f"{field}:")

    def fixed(self, field: str, value: str) -> tuple[int, ...]:
        """The tokens of a whole line, name, value and line break."""
        return (*self.vocabulary.encode(f"{field}: {value}"), self.vocabulary.newline)

    def mask(self, text: Text) -> Mask:
        """The tokens that `text` stands for."""
        if text.kind in (TextKind.FREE, TextKind.UNCONSTRAINED):
            return self._prose(text.kind)
        mask: Mask = ~self._is_mark & ~self._is_backtick & ~self._holds["<"] & ~self._holds["\r"]
        mask &= self._lengths <= min(text.room, LONGEST_PIECE)
        if text.kind is TextKind.CAPTION:
            mask &= ~self._holds["\n"] | self._ends_line
            return mask
        mask &= ~self._holds["\n"]
        if text.kind is TextKind.CAPTION_LINE:
            mask &= self._indents
            mask[text.then] = True
            return mask
        mask &= self._visible | (self._is_space & (text.kind is TextKind.CAPTION_START))
        return mask

    def _prose(self, kind: TextKind) -> Mask:
        mask: Mask = ~self._is_mark
        mask[self.vocabulary.end_of_turn] = True
        if kind is TextKind.UNCONSTRAINED:
            mask[[self.vocabulary.think_open, self.vocabulary.think_close]] = True
        return mask

    def _trie(self, field: str, values: Iterable[str]) -> Trie:
        """The tokens after the name. A value that the tokenizer glues to the name is left out."""
        head, trie = self.name(field), Trie()
        for value in values:
            line = self.fixed(field, value)
            if line[: len(head)] == head:
                trie.insert(line[len(head) :])
        return trie
