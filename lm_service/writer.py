"""Where a request stands in the grammar. A function of its output tokens: replaying them rebuilds it."""

from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import Protocol

from common.music import MAX_CAPTION_CHARACTERS
from lm_service.grammar import LONGEST_PIECE, Grammar, Trie
from lm_service.metadata import PLAN_FIELDS
from lm_service.outline import Allowed, Codes, Only, Outline, Phase, Text, TextKind


class Took(Enum):
    """What became of a token that a part was offered."""

    MORE = auto()
    """The part goes on."""
    LAST = auto()
    """It was the part's last."""
    NOT_MINE = auto()
    """The part was over before it: it belongs to the next."""


class Part(Protocol):
    """A stretch of the output."""

    def allowed(self) -> Allowed: ...
    def take(self, token: int) -> Took:
        """Raises `ValueError` if `token` was not allowed."""
        ...


class Writer:
    """One request's place in the grammar."""

    def __init__(self, grammar: Grammar, outline: Outline) -> None:
        self._end = Ending(grammar)
        self._parts = _parts(grammar, outline)
        self._part: Part = next(self._parts)

    def advance(self, tokens: Iterable[int]) -> None:
        """Follow `tokens`, the next of the output. Raises `ValueError` if the grammar forbids one."""
        for token in tokens:
            took = self._part.take(token)
            while took is Took.NOT_MINE:
                self._part = next(self._parts, self._end)
                took = self._part.take(token)
            if took is Took.LAST:
                self._part = next(self._parts, self._end)

    def allowed(self) -> Allowed:
        """Which tokens may come next; never empty."""
        return self._part.allowed()


def _parts(grammar: Grammar, outline: Outline) -> Iterator[Part]:
    if outline.phase is Phase.CODES:
        yield CodeRun(grammar, outline.code_count)
        return
    if not outline.constrained:
        yield Prose(grammar, TextKind.UNCONSTRAINED)
        return
    vocabulary, fixed = grammar.vocabulary, dict(outline.fixed)
    plan = outline.phase is Phase.PLAN
    # A plan ends its turn where the block would be closed. Source: spec lm.md 3.7.
    close = vocabulary.end_of_turn if plan else vocabulary.think_close
    names = [name for name in PLAN_FIELDS if name not in outline.skipped]
    yield Literal((vocabulary.think_open, vocabulary.newline))
    for name, following in zip(names, [*names[1:], None], strict=True):
        if name in fixed:
            yield Literal(grammar.fixed(name, fixed[name]))
            continue
        yield Literal(grammar.name(name))
        if name == "caption":
            yield Caption(grammar, grammar.name(following)[0] if following else close)
        else:
            yield Choice(grammar.values[name])
    yield Literal((close,))
    if not plan:
        yield Prose(grammar, TextKind.FREE)


class Literal:
    """Text that is the same in every output, or that the user fixed."""

    def __init__(self, tokens: tuple[int, ...]) -> None:
        self._tokens = tokens
        self._at = 0

    def allowed(self) -> Only:
        return Only((self._tokens[self._at],))

    def take(self, token: int) -> Took:
        _require(token == self._tokens[self._at], token)
        self._at += 1
        return Took.MORE if self._at < len(self._tokens) else Took.LAST


class Choice:
    """One of the values of a field, and its line break."""

    def __init__(self, values: Trie) -> None:
        self._node = values

    def allowed(self) -> Only:
        return Only(tuple(sorted(self._node)))

    def take(self, token: int) -> Took:
        _require(token in self._node, token)
        self._node = self._node[token]
        return Took.MORE if self._node else Took.LAST


class Caption:
    """Free words on one line, continued on indented ones. It is over when the next field begins."""

    def __init__(self, grammar: Grammar, following: int) -> None:
        self._grammar = grammar
        self._following = following
        # A character may be spread over several tokens, so it is counted where its bytes begin.
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._length = 0
        self._begun = False
        self._blank = True
        self._after_break = False

    def allowed(self) -> Allowed:
        room = min(self._room(), LONGEST_PIECE)
        if self._after_break:
            return Text(TextKind.CAPTION_LINE, room, self._following) if room else Only((self._following,))
        if self._blank:
            return Text(TextKind.CAPTION_BLANK if self._begun else TextKind.CAPTION_START, room)
        return Text(TextKind.CAPTION, room) if room else Only((self._grammar.vocabulary.newline,))

    def take(self, token: int) -> Took:
        if self._after_break and token == self._following:
            return Took.NOT_MINE
        piece = self._grammar.vocabulary.pieces[token]
        text = self._decoder.decode(piece)
        self._length += len(text)
        self._begun = True
        self._blank = self._blank and not text.strip()
        self._after_break = piece.endswith(b"\n")
        return Took.MORE

    def _room(self) -> int:
        unfinished, _ = self._decoder.getstate()
        # The line break that ends a full caption is one more: it is not part of it.
        pending = len(unfinished.decode(errors="replace"))
        return max(0, MAX_CAPTION_CHARACTERS - self._length - pending)


class CodeRun:
    """Audio codes: as many as were asked for, or as many as the model likes."""

    def __init__(self, grammar: Grammar, code_count: int | None) -> None:
        self._grammar = grammar
        self._left = code_count

    def allowed(self) -> Allowed:
        if self._left == 0:
            return Only((self._grammar.vocabulary.end_of_turn,))
        return Codes(or_end=self._left is None)

    def take(self, token: int) -> Took:
        if token == self._grammar.vocabulary.end_of_turn and not self._left:
            return Took.LAST
        window = self._grammar.window
        _require(window.first <= token < window.stop and self._left != 0, token)
        if self._left is not None:
            self._left -= 1
        return Took.MORE


class Prose:
    """Text until the end of the turn."""

    def __init__(self, grammar: Grammar, kind: TextKind) -> None:
        self._end_of_turn = grammar.vocabulary.end_of_turn
        self._allowed = Text(kind)

    def allowed(self) -> Text:
        return self._allowed

    def take(self, token: int) -> Took:
        return Took.LAST if token == self._end_of_turn else Took.MORE


class Ending:
    """The end of the turn, and nothing after it."""

    def __init__(self, grammar: Grammar) -> None:
        self._end_of_turn = grammar.vocabulary.end_of_turn

    def allowed(self) -> Only:
        return Only((self._end_of_turn,))

    def take(self, token: int) -> Took:
        _require(token == self._end_of_turn, token)
        return Took.MORE


def _require(holds: bool, token: int) -> None:
    if not holds:
        raise ValueError(f"token {token} is not what the grammar allows here")
