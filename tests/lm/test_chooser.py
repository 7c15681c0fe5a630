"""Tokens for a whole batch: each request in its own domain, all as if it were alone."""

import random

import torch

from lm_service.chooser import Chooser
from lm_service.engine import Task
from lm_service.guidance.request import Role, from_extra_args, role_of, to_extra_args, with_role
from lm_service.outline import Only, Outline, Phase
from lm_service.sampling import Draw, Sampling, drawn
from lm_service.seat import Seat, Track
from tests.lm.fakes import GRAMMAR
from tests.lm.golden import vocabulary

WIDTH = 900  # the model's vocabulary is padded beyond the tokenizer's 846
BEGUN = {
    Phase.PLAN: ("", "<think>\nbpm: ", "<think>\nbpm: 120\ncaption: A", "<think>\nbpm: 120\ncaption: A.\n"),
    Phase.CODES: ("", "<|audio_code_5|><|audio_code_7|><|audio_code_5|>"),
    Phase.TEXT: ("<think>\nbpm: 1",),
}


def tracks() -> list[Track]:
    made = list[Track]()
    for phase, texts in BEGUN.items():
        for text in texts:
            for penalty in (1.0, 1.7):
                item = Sampling(temperature=0.9, top_p=0.8, repetition_penalty=penalty, seed=len(made))
                outline = Outline(phase=phase, code_count=5 if penalty > 1 else None)
                made.append(Track(GRAMMAR, outline, item, 2.0, list(vocabulary().encode(text))))
    return made


def scores(rows: int) -> torch.Tensor:
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(1)) * 4


def test_a_batch_chooses_what_each_request_chooses_alone() -> None:
    chooser, logits = Chooser(GRAMMAR, torch.device("cpu")), scores(40)
    seats = [Seat(track, 2 * place, 2 * place + place % 2) for place, track in enumerate(tracks())]
    together = chooser.choose(logits, seats).tolist()

    order = random.Random(0).sample(range(len(seats)), len(seats))
    shuffled = chooser.choose(logits, [seats[place] for place in order]).tolist()
    alone = [int(chooser.choose(logits, [seat])) for seat in seats]

    assert together == alone == [shuffled[order.index(place)] for place in range(len(seats))]


def test_masks_are_counted_by_kind() -> None:
    chooser = Chooser(GRAMMAR, torch.device("cpu"))
    seats = [Seat(track, place, place + 20) for place, track in enumerate(tracks())]

    for _ in range(2):
        chooser.choose(scores(40), seats)

    allowed = [seat.track.allowed for seat in seats]
    few = sum(isinstance(item, Only) and len(item.tokens) > 1 for item in allowed)
    assert chooser.mask_counts["few"] == 2 * few > 0
    assert sum(chooser.mask_counts.values()) == 2 * len(seats)
    assert all(chooser.mask_counts.values())


def test_only_what_the_grammar_allows_is_chosen_whatever_the_scores() -> None:
    chooser, logits = Chooser(GRAMMAR, torch.device("cpu")), scores(40)
    logits[:, vocabulary().size :] = 1e6
    logits[:, ::7] = torch.nan
    seats = [Seat(track, place, place + 20) for place, track in enumerate(tracks())]

    for seat, token in zip(seats, chooser.choose(logits, seats).tolist(), strict=True):
        allowed = seat.track.allowed
        if isinstance(allowed, Only):
            assert token in allowed.tokens
        assert token < vocabulary().size


def test_codes_are_chosen_as_from_the_whole_vocabulary() -> None:
    chooser, logits = Chooser(GRAMMAR, torch.device("cpu")), scores(2)
    item = Sampling(temperature=1.0, repetition_penalty=2.0, seed=3)
    window, end = GRAMMAR.window, vocabulary().end_of_turn
    written = list(range(window.first, window.first + 40))
    track = Track(GRAMMAR, Outline(phase=Phase.CODES), item, 1.5, written)
    mixed = logits[1] + 1.5 * (logits[0] - logits[1])
    mixed[written] = torch.where(mixed[written] < 0, mixed[written] * 2, mixed[written] / 2)
    keep = torch.zeros(WIDTH, dtype=torch.bool)
    keep[window.first : window.stop], keep[end] = True, True
    allowed = mixed.masked_fill(~keep, -torch.inf)[None]

    for step in range(40, 60):
        expected = drawn(allowed, torch.arange(WIDTH), [Draw(item, step)])
        assert chooser.choose(logits, [Seat(track, 0, 1)]).tolist() == expected.tolist()
        # The same scores again, one code later: one more is penalised.
        token = window.first + step
        written.append(token)
        allowed[0, token] = allowed[0, token] * 2 if allowed[0, token] < 0 else allowed[0, token] / 2


def test_a_task_survives_the_way_to_the_engine() -> None:
    task = Task(
        outline=Outline(phase=Phase.PLAN, fixed=(("bpm", "95"),), skipped=("caption",)),
        sampling=Sampling(temperature=0.5, top_k=3, seed=2**63 - 1),
        scale=2.0,
        unconditional=(1, 2, 3),
    )

    args = to_extra_args(task)
    row = with_role(args, Role.UNCONDITIONAL, "r1")

    assert from_extra_args(args) == task
    assert role_of(row) == (Role.UNCONDITIONAL, "r1")
    assert from_extra_args(row).unconditional == ()
