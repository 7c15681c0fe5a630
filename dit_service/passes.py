"""Passes of the transformer, which songs of the same model do together."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from dit_service import metrics
from dit_service.due import Due
from dit_service.network.transformer import DiffusionTransformer, Row


class Pass(Due):
    """The pass that a song's next step needs: a row, or two if it is guided."""

    def __init__(
        self, transformer: DiffusionTransformer, rows: Sequence[Row], before: "Pass | None" = None
    ) -> None:
        """`before` is the song's pass before this one."""
        self._transformer = transformer
        self._rows = rows
        self._before = before
        self._velocities: list[Tensor] | None = None
        self._ended: torch.cuda.Event | None = None

    @property
    def group(self) -> object:
        return self._transformer

    def do_together(self, all_due: Sequence[Self]) -> None:
        """What does not fit into memory together is done in halves; what never does, is left."""
        if self._fit(all_due) or len(all_due) == 1:
            return
        metrics.BATCHES_SPLIT.inc()
        middle = len(all_due) // 2
        for half in (all_due[:middle], all_due[middle:]):
            half[0].do_together(half)

    def wait(self) -> None:
        """Until it is done; what came to the device after it may still be at work."""
        if self._ended is not None:
            self._ended.synchronize()

    def velocities(self) -> list[Tensor]:
        """One for each row, `[1, frames, channels]` float32. Raises what doing it alone raises."""
        if self._velocities is None:
            self._do([self])
        assert self._velocities is not None
        return self._velocities

    def _fit(self, passes: Sequence[Self]) -> bool:
        try:
            self._do(passes)
        except torch.OutOfMemoryError:
            return False  # told only where a song cannot go on even alone
        return True

    @torch.inference_mode()
    def _do(self, passes: Sequence["Pass"]) -> None:
        velocities = iter(self._transformer([row for each in passes for row in each._rows]))
        for each in passes:
            each._velocities = [next(velocities).float()[None] for _ in each._rows]
            each._rows = ()  # their memory is needed again
        if self._transformer.device.type == "cuda":
            _keep_pace(passes)


def _keep_pace(passes: Sequence[Pass]) -> None:
    """Let the host be one pass ahead of a GPU, which so never waits for it, and no more.

    Were it further ahead, what comes would wait for all of that, and a song could not be cancelled.
    """
    ended = torch.cuda.Event()
    ended.record()
    for each in passes:
        if each._before is not None:
            each._before.wait()
        each._ended, each._before = ended, None
