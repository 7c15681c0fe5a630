"""The step from scores to tokens, inside vLLM's model runner (the V1 interface)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from vllm.config import VllmConfig
from vllm.sampling_params import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from lm_service.chooser import Chooser
from lm_service.code_book import CudaGraphs
from lm_service.grammar import Grammar
from lm_service.guidance.request import KEY, Role, from_extra_args, role_of
from lm_service.sampling import uploaded
from lm_service.seat import Seat, Track
from lm_service.vocabulary import Vocabulary

CODE_COUNT = "code_count"
"""Name in `additional_config` of the size of the code book."""


@dataclass(frozen=True, slots=True)
class _Row:
    pair: str
    role: Role
    track: Track | None
    """None for the unconditional row: its partner decides."""


class GuidedProcessor(LogitsProcessor):  # type: ignore[misc]
    """Chooses the tokens of all rows. vLLM then takes the most probable one, which is the chosen one."""

    OVERRIDES = ("validate_params", "is_argmax_invariant", "update_state", "apply")

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        vocabulary = Vocabulary.load(Path(vllm_config.model_config.model))
        self._grammar = Grammar(vocabulary, vllm_config.additional_config[CODE_COUNT])
        records = device.type == "cuda" and not vllm_config.model_config.enforce_eager
        most = vllm_config.scheduler_config.max_num_seqs
        self._chooser = Chooser(self._grammar, device, CudaGraphs() if records else None, most)
        self._device = device
        self._rows: dict[int, _Row] = {}
        self._seats: list[Seat] | None = None
        """Who sits where; None after the batch has changed."""
        self._places = torch.empty(0)
        """int64 `[2, seats]`: their conditional rows, their unconditional ones."""
        self._chosen_score = torch.zeros((), device=device)

    @classmethod
    def validate_params(cls, params: SamplingParams) -> None:
        """Raises `ValueError` for what would change scores behind the processor's back."""
        if KEY not in (params.extra_args or {}):
            return  # vLLM's own warm-up
        if params.n != 1 or params.temperature != 0 or params.logprobs is not None:
            raise ValueError("requests have n=1 and temperature=0: tokens are drawn by the processor")

    @property
    def mask_counts(self) -> dict[str, int]:
        return self._chooser.mask_counts

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        # Before the forward pass. Outputs are read in `apply`, when the last token is known.
        if batch_update is not None:
            process_dict_updates(self._rows, batch_update, self._row)
            self._seats = None

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """`logits` is float32 `[rows, vocabulary]`; changed in place.

        Rows of prompts that are read in chunks are among them; what they "draw" is dropped later.
        """
        if self._seats is None:
            self._seats = _seated(self._rows)
            rows = zip(*((seat.conditional, seat.unconditional) for seat in self._seats), strict=True)
            self._places = uploaded(list(rows), self._device)
        if not self._seats:
            return logits
        tokens = self._chooser.choose(logits, self._seats)
        # The rows are overwritten as a whole, so that no NaN can win against the chosen token.
        logits.index_fill_(0, self._places.view(-1), -torch.inf)
        logits.index_put_((self._places, tokens.expand_as(self._places)), self._chosen_score)
        return logits

    def _row(self, params: SamplingParams, prompt: Sequence[int] | None, output: list[int]) -> _Row | None:
        extra_args: dict[str, Any] = params.extra_args or {}
        if KEY not in extra_args:
            return None
        role, pair = role_of(extra_args)
        if role is Role.UNCONDITIONAL:
            return _Row(pair, role, None)
        task = from_extra_args(extra_args)
        return _Row(pair, role, Track(self._grammar, task.outline, task.sampling, task.scale, output))


def _seated(rows: dict[int, _Row]) -> list[Seat]:
    """Seats of the rows that can write now: a guided request is left out while it has one row here."""
    partners = {row.pair: place for place, row in rows.items() if row.role is Role.UNCONDITIONAL}
    seats = []
    for place, row in rows.items():
        if row.role is Role.SINGLE and row.track:
            seats.append(Seat(row.track, place, place))
        elif row.pair in partners and row.track:
            seats.append(Seat(row.track, place, partners[row.pair]))
    return seats
