"""What an engine is to the rest of the service. Knows no gRPC and no vLLM."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from common.revision import Revision
from lm_service.grammar import Grammar
from lm_service.outline import Outline
from lm_service.sampling import Sampling
from lm_service.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a request writes and how its tokens are chosen."""

    outline: Outline
    sampling: Sampling
    scale: float = 1.0
    """Strength of guidance; without effect if there is nothing to lead away from."""
    unconditional: tuple[int, ...] = ()
    """The prompt that guidance leads away from; empty for one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request to the engine. Complete and valid: the engine has no defaults of its own."""

    prompt: tuple[int, ...]
    task: Task
    max_tokens: int
    expected_tokens: int
    """How many it will write by experience; exact where codes are counted."""
    stop_tokens: tuple[int, ...]
    """Tokens that end the request; the one that did is part of the output."""

    @property
    def row_count(self) -> int:
        return 2 if self.task.unconditional else 1

    @property
    def cache_token_count(self) -> int:
        """Tokens that it is expected to hold in the cache when it ends, in both rows."""
        return self.prompt_token_count + self.row_count * self.expected_tokens

    @property
    def prompt_token_count(self) -> int:
        return len(self.prompt) + len(self.task.unconditional)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The checkpoint that an engine runs."""

    revision: Revision
    grammar: Grammar
    max_model_len: int
    """Prompt and output together are at most this many tokens."""
    recommended_cfg_scale: float | None = None
    """Guidance of codes where a request says nothing; None leaves it to the service."""

    @property
    def vocabulary(self) -> Vocabulary:
        return self.grammar.vocabulary

    @property
    def code_count(self) -> int:
        return len(self.grammar.window.codes)


class Engine(Protocol):
    @property
    def model(self) -> Model: ...

    def generate(self, job: Job) -> AsyncGenerator[tuple[int, ...], None]:
        """New tokens as they are written. Closing the generator frees the job's rows at once.

        Raises `AceError` (UNAVAILABLE) if the engine is dead.
        """
        ...

    @property
    def cache_token_count(self) -> int:
        """Tokens that its cache of keys and values has room for."""
        ...

    def unfinished_count(self) -> int:
        """Requests that the engine still works on or keeps waiting."""
        ...
