"""The model's tokenizer: ids, texts, and which tokens are text, control marks or audio codes."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

CODE_PATTERN = re.compile(r"<\|audio_code_(0|[1-9]\d*)\|>")
MARK_PATTERN = re.compile(r"<[^<>\s]+>")
"""What every added token looks like; a tokenizer with another kind is refused."""

END_OF_TURN = "<|im_end|>"
THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"


def code_token(code: int) -> str:
    return f"<|audio_code_{code}|>"


@dataclass(frozen=True, slots=True)
class CodeWindow:
    """The tokens of the code book: ids `first` to `first + len(codes) - 1`, without a gap."""

    first: int
    codes: tuple[int, ...]
    """The code that each of these ids stands for."""

    @property
    def stop(self) -> int:
        return self.first + len(self.codes)

    def code(self, token: int) -> int:
        return self.codes[token - self.first]


class Vocabulary:
    """A loaded tokenizer. Reading it twice gives the same ids; nothing in it changes."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.size: int = tokenizer.get_vocab_size()
        self.marks: dict[str, int] = {
            added.content: token for token, added in tokenizer.get_added_tokens_decoder().items()
        }
        if odd := [mark for mark in self.marks if not MARK_PATTERN.fullmatch(mark)]:
            raise ValueError(f"the tokenizer has an added token of an unknown kind: {odd[0]!r}")
        self.end_of_turn = self._mark(END_OF_TURN)
        self.think_open = self._mark(THINK_OPEN)
        self.think_close = self._mark(THINK_CLOSE)
        (self.newline,) = self.encode("\n")

    @classmethod
    def load(cls, checkpoint: Path) -> "Vocabulary":
        """Raises `FileNotFoundError`, or `ValueError` if a token that the model needs is missing."""
        path = checkpoint / "tokenizer.json"
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist")
        return cls(Tokenizer.from_file(str(path)))

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of `text`; marks in it become control tokens."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, marks included. Bytes that are no UTF-8 become U+FFFD."""
        return b"".join(self.pieces[token] for token in tokens).decode(errors="replace")

    def code_window(self, code_count: int) -> CodeWindow:
        """The tokens of codes 0 to `code_count - 1`; tokens of larger codes may exist and are left out.

        Raises `ValueError` if the tokenizer has none of them, or if they are not contiguous.
        """
        codes = {
            token: int(match[1])
            for mark, token in self.marks.items()
            if (match := CODE_PATTERN.fullmatch(mark)) and int(match[1]) < code_count
        }
        tokens = sorted(codes)
        if not tokens or tokens[-1] - tokens[0] + 1 != len(tokens):
            raise ValueError(f"the tokenizer has no contiguous tokens for {code_count} audio codes")
        return CodeWindow(tokens[0], tuple(codes[token] for token in tokens))

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """The bytes that each id stands for, marks as their own text. Made on first use, kept."""
        marks = {token: mark.encode() for mark, token in self.marks.items()}
        byte_of = _byte_of_character()
        pieces = []
        for token in range(self.size):
            if token in marks:
                pieces.append(marks[token])
            else:
                spelling = self._tokenizer.id_to_token(token) or ""
                pieces.append(bytes(byte_of[character] for character in spelling))
        return tuple(pieces)

    def _mark(self, text: str) -> int:
        if text not in self.marks:
            raise ValueError(f"the tokenizer has no token {text}")
        return self.marks[text]


def _byte_of_character() -> dict[str, int]:
    """How byte-level BPE spells bytes: printable ones as themselves, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + place): byte for place, byte in enumerate(others)
    }


def read_code_count(codec_config: Path) -> int:
    """Size of the code book: the product of `fsq_input_levels` in a DiT checkpoint's `config.json`.

    Raises `FileNotFoundError`, or `ValueError` if the levels are missing or no positive integers.
    """
    if not codec_config.is_file():
        raise FileNotFoundError(f"{codec_config} does not exist; it says how large the code book is")
    levels = json.loads(codec_config.read_text()).get("fsq_input_levels")
    if not levels or not all(isinstance(level, int) and level > 0 for level in levels):
        raise ValueError(f"{codec_config}: fsq_input_levels is {levels!r}, not a list of positive integers")
    count = 1
    for level in levels:
        count *= level
    return count
