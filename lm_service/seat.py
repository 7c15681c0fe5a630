"""Requests on their way, and where a batch holds their scores. Knows tensors and the grammar, no engine."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lm_service.grammar import Grammar
from lm_service.outline import Allowed, Outline
from lm_service.sampling import Draw, Sampling, guided, uploaded
from lm_service.writer import Writer


class Track:
    """One request on its way. All it knows follows from its output, so a new one can take over."""

    def __init__(
        self, grammar: Grammar, outline: Outline, sampling: Sampling, scale: float, output: Sequence[int]
    ) -> None:
        """`output` is read anew at each step: the engine appends to it."""
        self.sampling = sampling
        self.scale = scale
        self.output = output
        self._writer = Writer(grammar, outline)
        self._followed = 0

    def catch_up(self) -> None:
        """Follow what was written since the last call."""
        self._writer.advance(self.output[self._followed :])
        self._followed = len(self.output)

    @property
    def allowed(self) -> Allowed:
        return self._writer.allowed()

    @property
    def draw(self) -> Draw:
        return Draw(self.sampling, self._followed)


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a request sits in the batch. Unguided requests have one row twice."""

    track: Track
    conditional: int
    unconditional: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Where some seats find their scores: int64 `[seats]`, and `scales` float32 `[seats, 1]`."""

    conditional: Tensor
    unconditional: Tensor
    scales: Tensor
    any_guided: bool

    @classmethod
    def of(cls, seats: Sequence[Seat], device: torch.device) -> "Rows":
        scales = [seat.track.scale for seat in seats]
        return cls(
            uploaded([seat.conditional for seat in seats], device),
            uploaded([seat.unconditional for seat in seats], device),
            uploaded(scales, device, torch.float32)[:, None],
            any(seat.conditional != seat.unconditional for seat in seats),
        )

    def scores(self, logits: Tensor) -> Tensor:
        """Guided scores, `[seats, columns]`, from `logits` `[rows, columns]`; a copy."""
        scores = logits.index_select(0, self.conditional)
        if not self.any_guided:
            return scores
        return guided(scores, logits.index_select(0, self.unconditional), self.scales)
