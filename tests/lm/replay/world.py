"""What every replay needs: the tokenizer of the vectors, its grammar, and one way to compare."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lm_service.grammar import Grammar
from lm_service.outline import Codes, Only, Outline
from lm_service.vocabulary import CODE_PATTERN, Vocabulary
from lm_service.writer import Writer

CODE_COUNT = 64_000
"""Size of the released code book, which the vectors were recorded with."""

Vector = dict[str, Any]
Facts = dict[str, Any]
"""What is compared, by name: each fact on its own, so that one departure hides nothing else."""


class Absent:
    """What the product says to something that it has not: a setting, a call, a value it refuses."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Replayed:
    """The same facts from the product and from the recording."""

    ours: Facts
    theirs: Facts


class World:
    """A tokenizer, and the file of vectors that was recorded with it."""

    def __init__(self, tokenizer: Path, groups: dict[str, list[Vector]]) -> None:
        self.vocabulary = Vocabulary.load(tokenizer)
        self.groups = groups

    @cached_property
    def grammar(self) -> Grammar:
        return Grammar(self.vocabulary, CODE_COUNT)

    @cached_property
    def codes(self) -> set[int]:
        """Ids of the tokens of all audio codes, those beyond the code book included."""
        return {token for mark, token in self.vocabulary.marks.items() if CODE_PATTERN.fullmatch(mark)}

    @cached_property
    def valid_codes(self) -> set[int]:
        return set(range(self.grammar.window.first, self.grammar.window.stop))

    def input_of(self, name: str) -> Any:
        """The input of another vector, which a vector may share."""
        found = [vector for group in self.groups.values() for vector in group if vector["id"] == name]
        return found[0]["input"] if found else None

    def allowed(self, writer: Writer) -> set[int]:
        allowed = writer.allowed()
        if isinstance(allowed, Only):
            return set(allowed.tokens)
        if isinstance(allowed, Codes):
            return self.valid_codes | ({self.vocabulary.end_of_turn} if allowed.or_end else set())
        return set(self.grammar.mask(allowed).nonzero()[0].tolist())

    def written(
        self, outline: Outline, choose: Callable[[set[int], list[int]], int], limit: int
    ) -> list[int]:
        """Tokens that `choose` picks from what is allowed and what there is, until the turn ends."""
        writer, output = Writer(self.grammar, outline), list[int]()
        while len(output) < limit and self.vocabulary.end_of_turn not in output[-1:]:
            output.append(choose(self.allowed(writer), output))
            writer.advance(output[-1:])
        return output


Adapter = Callable[[World, Vector], Replayed]
