"""Scores of the code book alone, and draws from them. Knows tensors, no engine."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lm_service.grammar import Grammar
from lm_service.sampling import Settings, drawn_by, guided, keys_of, pinned, settings_of, uploaded
from lm_service.seat import Rows, Seat

ALIGNED = 8
"""Rows are a multiple of so many columns, so that all of them begin at the same kind of address."""

Replay = Callable[[], None]
Record = Callable[[Callable[[], None]], Replay]
"""Runs a function on tensors, and returns what does the same to the same tensors again."""


class Columns:
    """What the columns of scores stand for in the codes phase: all codes, the end of the turn, and fill.

    They are as many in every batch, whether or not somebody's song may end: how a sum is split over a
    row must depend neither on the row's place nor on who shares the batch.
    """

    def __init__(self, grammar: Grammar, device: torch.device) -> None:
        window, end = grammar.window, grammar.vocabulary.end_of_turn
        self._codes = slice(window.first, window.stop)
        self._end_token = slice(end, end + 1)
        self.end = len(window.codes)
        """The column of the end of the turn."""
        self.width = -(-(self.end + 1) // ALIGNED) * ALIGNED
        fill = [end] * (self.width - self.end - 1)
        self.tokens = torch.tensor([*range(window.first, window.stop), end, *fill], device=device)
        """int64 `[width]`; fill repeats the end of the turn."""

    def place(self, token: int) -> int:
        """The column of `token`; outside of the columns if it has none."""
        return self.end if token == self._end_token.start else token - self._codes.start

    def copy(self, logits: Tensor, rows: Tensor, scores: Tensor, with_end: bool) -> None:
        """Put `rows` of `logits` `[_, vocabulary]` into `scores` `[len(rows), width]`, fill aside."""
        scores[:, : self.end] = logits[:, self._codes].index_select(0, rows)
        if with_end:
            scores[:, self.end : self.end + 1] = logits[:, self._end_token].index_select(0, rows)

    def scores(self, logits: Tensor, rows: Rows, may_end: Sequence[bool]) -> Tensor:
        """Guided scores, `[seats, width]`, minus infinity or NaN where nothing may be drawn."""
        some = any(may_end)
        scores = self._of(logits, rows.conditional, some)
        if rows.any_guided:
            scores = guided(scores, self._of(logits, rows.unconditional, some), rows.scales)
        if some and not all(may_end):
            closed = uploaded([not item for item in may_end], scores.device)
            scores[:, self.end].masked_fill_(closed, -torch.inf)
        return scores

    def _of(self, logits: Tensor, rows: Tensor, with_end: bool) -> Tensor:
        scores = logits.new_full((len(rows), self.width), -torch.inf)
        self.copy(logits, rows, scores, with_end)
        return scores


class RecordedDraw:
    """Draws the codes of a batch by launches that were recorded once for each of some batch sizes.

    To launch the draw's sixty or so kernels one by one takes the host longer than the device needs for
    them. Recorded ones read and write the same memory each time: a batch is brought there, followed, up
    to the next size that was recorded, by rows that nobody reads. What is drawn is what `drawn` draws.
    """

    def __init__(self, columns: Columns, most: int, record: Record) -> None:
        """`most` is the size of the largest batch."""
        self._columns = columns
        device = columns.tokens.device
        self._scores = torch.full((2 * most, columns.width), -torch.inf, device=device)
        """The conditional rows of all seats, then the unconditional ones."""
        self._scales = torch.ones(most, 1, device=device)
        self._closed = torch.ones(most, dtype=torch.bool, device=device)
        """Whose song may not end here."""
        self._keys = torch.zeros(most, 1, dtype=torch.int64, device=device)
        self._temperature = torch.ones(most, 1, device=device)
        self._top_k = torch.zeros(most, 1, dtype=torch.int64, device=device)
        self._top_p = torch.ones(most, 1, device=device)
        self._greedy = torch.zeros(most, dtype=torch.bool, device=device)
        self._chosen = torch.zeros(most, dtype=torch.int64, device=device)
        self._replays = {size: record(self._work(size)) for size in sizes(most)}
        self._batch: tuple[tuple[Seat, ...], list[bool]] | None = None
        self._size = 0
        self._rows = torch.empty(0)

    def choose(self, logits: Tensor, seats: tuple[Seat, ...], may_end: list[bool]) -> Tensor:
        """The code or end that each seat draws, int64 `[seats]`; holds until the next call."""
        if self._batch != (seats, may_end):
            self._seat(seats, may_end)
        self._columns.copy(logits, self._rows, self._scores[: 2 * self._size], any(may_end))
        keys = keys_of([seat.track.draw for seat in seats])
        self._keys[: len(seats)].copy_(pinned(keys, self._keys.device), non_blocking=True)
        self._replays[self._size]()
        return self._chosen[: len(seats)]

    def _seat(self, seats: tuple[Seat, ...], may_end: list[bool]) -> None:
        count = len(seats)
        self._batch, self._size = (seats, may_end), next(size for size in self._replays if size >= count)
        device = self._keys.device
        spare = [seats[0]] * (self._size - count)
        rows = [seat.conditional for seat in (*seats, *spare)]
        self._rows = uploaded(rows + [seat.unconditional for seat in (*seats, *spare)], device)
        settings = settings_of(tuple(seat.track.sampling for seat in seats), device)
        for kept, new in (
            (self._scales, uploaded([[seat.track.scale] for seat in seats], device, torch.float32)),
            (self._closed, uploaded([not item for item in may_end], device)),
            (self._temperature, settings.temperature),
            (self._top_k, settings.top_k),
            (self._top_p, settings.top_p),
            (self._greedy, settings.greedy),
        ):
            kept[:count] = new

    def _work(self, size: int) -> Callable[[], None]:
        """What is recorded: every filter for every row, as it is neutral where it is not asked for."""
        settings = Settings(
            temperature=self._temperature[:size],
            top_k=self._top_k[:size],
            top_p=self._top_p[:size],
            greedy=self._greedy[:size],
            all_greedy=False,
            any_greedy=True,
            any_top_k=True,
            any_top_p=True,
            filtered_count=size,
        )
        conditional, unconditional = self._scores[:size], self._scores[size : 2 * size]
        scales, closed, keys = self._scales[:size], self._closed[:size], self._keys[:size]
        tokens, end, chosen = self._columns.tokens, self._columns.end, self._chosen[:size]

        def work() -> None:
            scores = guided(conditional, unconditional, scales)
            scores[:, end].masked_fill_(closed, -torch.inf)
            chosen.copy_(tokens[drawn_by(scores, tokens, settings, keys)])

        return work


def sizes(most: int) -> list[int]:
    """Batch sizes worth recording, rising, up to `most`."""
    return sorted({most, *(size for size in (1, 2, 4, *range(8, most, 8)) if size < most)})


class CudaGraphs:
    """Records launches as CUDA graphs, all in the same memory: they run one after the other."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], None]) -> Replay:
        # What kernels set up at their first launch must not be recorded.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            work()
        replay: Replay = graph.replay
        return replay
