"""What a generation must look like, and which tokens that leaves. Plain values, no tokenizer."""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What the model is writing; the values are the labels of metrics and errors."""

    PLAN = "plan"
    """The metadata of a song; ends where the metadata block would be closed."""
    CODES = "codes"
    """Audio codes and nothing else."""
    TEXT = "text"
    """A metadata block, then lyrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The shape that one request's output is held to."""

    phase: Phase
    fixed: tuple[tuple[str, str], ...] = ()
    """Names and values of the fields that are forced."""
    skipped: tuple[str, ...] = ()
    """Names of the fields that are not written, even if they are fixed."""
    code_count: int | None = None
    """How many codes are written; None leaves the end to the model."""
    constrained: bool = True
    """False lets text take any form. Codes are always held to the code book and the count."""


@dataclass(frozen=True, slots=True)
class Only:
    """One of these tokens."""

    tokens: tuple[int, ...]

    def summary(self) -> str:
        return f"one of {len(self.tokens)} tokens"


@dataclass(frozen=True, slots=True)
class Codes:
    """A token of the code book, or, if `or_end`, the end of the turn."""

    or_end: bool

    def summary(self) -> str:
        return "a code or the end" if self.or_end else "a code"


class TextKind(StrEnum):
    """Which tokens text may go on with."""

    CAPTION_START = "caption start"
    """The first token of a caption: something visible, or the space before it."""
    CAPTION_BLANK = "caption blank"
    """Nothing visible yet: it comes now."""
    CAPTION = "caption"
    """Inside a line of a caption."""
    CAPTION_LINE = "caption line"
    """After a line break: an indented line of the caption, or the next field."""
    FREE = "free"
    """Any text, or the end of the turn."""
    UNCONSTRAINED = "unconstrained"
    """Any text, the tags of the metadata block, or the end of the turn."""


@dataclass(frozen=True, slots=True)
class Text:
    """The tokens that `Grammar.mask` says; few enough different ones to be kept."""

    kind: TextKind
    room: int = 0
    """Longest piece allowed, in characters; for captions."""
    then: int = -1
    """The token that begins what follows a caption, for `CAPTION_LINE`."""

    def summary(self) -> str:
        return f"text: {self.kind.value}"


Allowed = Only | Codes | Text
