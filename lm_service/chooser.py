"""Choose the next token of every request of a batch. Knows tensors and the grammar, no engine."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lm_service.code_book import Columns, Record, RecordedDraw
from lm_service.grammar import Grammar
from lm_service.outline import Codes, Only, Text
from lm_service.sampling import drawn, guided, penalised, uploaded
from lm_service.seat import Rows, Seat

MASKS_KEPT = 256
"""Masks of the full vocabulary that stay on the device; there are about 130 different ones."""

MASK_KINDS = ("forced", "few", "codes", "text")
"""One token, a field's values, the code book, free text."""


class Chooser:
    """Holds what all steps share on the device: ids of the code window, masks, rows of the last batch.

    Codes are scored in their window alone, fields in their few values; only free text needs the
    whole vocabulary. Source for why: spec vllm.md 5.
    """

    def __init__(
        self, grammar: Grammar, device: torch.device, record: Record | None = None, most: int = 0
    ) -> None:
        """With `record`, the draws of codes are recorded, for batches of up to `most` requests."""
        self._grammar = grammar
        self._device = device
        self._columns = Columns(grammar, device)
        self._recorded = RecordedDraw(self._columns, most, record) if record else None
        self._masks: OrderedDict[Text, Tensor] = OrderedDict()
        self._rows: dict[str, tuple[tuple[Seat, ...], Rows]] = {}
        self.mask_counts = dict.fromkeys(MASK_KINDS, 0)
        """How often each kind of mask was served, since the start."""

    def choose(self, logits: Tensor, seats: Sequence[Seat]) -> Tensor:
        """The next token of each seat, int64 `[seats]`, from float32 `logits` `[rows, vocabulary]`."""
        tokens = torch.zeros(len(seats), dtype=torch.int64, device=self._device)
        forced: list[tuple[int, int]] = []
        groups: dict[type, list[int]] = {Only: [], Codes: [], Text: []}
        allowed = []
        for place, seat in enumerate(seats):
            seat.track.catch_up()
            allowed.append(seat.track.allowed)
            if isinstance(allowed[-1], Only) and len(allowed[-1].tokens) == 1:
                forced.append((place, allowed[-1].tokens[0]))
            else:
                groups[type(allowed[-1])].append(place)
        served = (len(forced), len(groups[Only]), len(groups[Codes]), len(groups[Text]))
        for name, count in zip(MASK_KINDS, served, strict=True):
            self.mask_counts[name] += count
        if forced:
            where, only = uploaded(forced, self._device).T
            tokens[where] = only
        choosers: dict[type, Callable[..., Tensor]] = {
            Only: self._of_few,
            Codes: self._of_codes,
            Text: self._of_text,
        }
        for kind, places in groups.items():
            if places:
                group = tuple(seats[place] for place in places)
                chosen = choosers[kind](logits, group, [allowed[place] for place in places])
                if len(places) == len(seats):
                    return chosen
                tokens[uploaded(places, self._device)] = chosen
        return tokens

    def _of_codes(self, logits: Tensor, seats: tuple[Seat, ...], allowed: list[Codes]) -> Tensor:
        may_end = [item.or_end for item in allowed]
        if self._recorded and all(seat.track.sampling.repetition_penalty == 1 for seat in seats):
            return self._recorded.choose(logits, seats, may_end)
        columns = self._columns
        scores = columns.scores(logits, self._rows_of("codes", seats), may_end)
        _penalise(scores, seats, columns.place)
        won = drawn(scores, columns.tokens, [seat.track.draw for seat in seats])
        return columns.tokens[won]

    def _of_few(self, logits: Tensor, seats: tuple[Seat, ...], allowed: list[Only]) -> Tensor:
        width = max(len(item.tokens) for item in allowed)
        # The unused columns of short rows repeat a token and are masked.
        table = uploaded(
            [item.tokens + item.tokens[:1] * (width - len(item.tokens)) for item in allowed], self._device
        )
        unused = uploaded(
            [[place >= len(item.tokens) for place in range(width)] for item in allowed], self._device
        )
        rows = self._rows_of("few", seats)
        scores = logits[rows.conditional[:, None], table]
        if rows.any_guided:
            scores = guided(scores, logits[rows.unconditional[:, None], table], rows.scales)
        scores = scores.masked_fill(unused, -torch.inf)
        for place, (seat, item) in enumerate(zip(seats, allowed, strict=True)):
            _penalise(scores[place : place + 1], (seat,), _place_in(item.tokens))
        won = drawn(scores, table, [seat.track.draw for seat in seats])
        return table.gather(-1, won[:, None])[:, 0]

    def _of_text(self, logits: Tensor, seats: tuple[Seat, ...], allowed: list[Text]) -> Tensor:
        scores = self._rows_of("text", seats).scores(logits)
        width = logits.shape[-1]
        keep = torch.stack([self._mask(item, width) for item in allowed])
        scores = scores.masked_fill(~keep, -torch.inf)
        _penalise(scores, seats, lambda token: token)
        return drawn(scores, torch.arange(width, device=self._device), [seat.track.draw for seat in seats])

    def _mask(self, text: Text, width: int) -> Tensor:
        """`[width]` bool; ids beyond the tokenizer, which pad the model's vocabulary, are not allowed."""
        if text not in self._masks:
            mask = torch.zeros(width, dtype=torch.bool)
            mask[: self._grammar.vocabulary.size] = torch.from_numpy(self._grammar.mask(text))
            self._masks[text] = mask.to(self._device)
            if len(self._masks) > MASKS_KEPT:
                self._masks.popitem(last=False)
        self._masks.move_to_end(text)
        return self._masks[text]

    def _rows_of(self, group: str, seats: tuple[Seat, ...]) -> Rows:
        known = self._rows.get(group)
        if known is None or known[0] != seats:
            known = self._rows[group] = (seats, Rows.of(seats, self._device))
        return known[1]


def _place_in(tokens: tuple[int, ...]) -> Callable[[int], int]:
    places = {token: place for place, token in enumerate(tokens)}
    return lambda token: places.get(token, -1)


def _penalise(scores: Tensor, seats: Sequence[Seat], column: Callable[[int], int]) -> None:
    """Apply the repetition penalties, in place; `column` is outside `scores` for tokens that it lacks."""
    for row, seat in enumerate(seats):
        if seat.track.sampling.repetition_penalty == 1:
            continue
        columns = {column(token) for token in seat.track.output}
        written = [place for place in columns if 0 <= place < scores.shape[-1]]
        index = uploaded(written, scores.device, torch.int64)
        scores[row] = penalised(scores[row], index, seat.track.sampling.repetition_penalty)
