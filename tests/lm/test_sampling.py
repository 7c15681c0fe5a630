"""From scores to tokens: the order of the steps, the filters, and draws that repeat."""

import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from lm_service.sampling import Draw, Sampling, drawn, penalised


def test_a_penalty_makes_written_tokens_less_likely_on_both_sides_of_zero() -> None:
    scores = penalised(torch.tensor([3.0, -2.0, 5.0]), torch.tensor([0, 1]), 2.0)

    assert scores.tolist() == [1.5, -4.0, 5.0]


def scores_of(rows: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)) * 3


MIXED = [
    Sampling(temperature=0.85, top_p=0.9, seed=1),
    Sampling(temperature=0.0, seed=2),
    Sampling(temperature=2.0, top_k=50, seed=3),
    Sampling(temperature=1.0, seed=4),
    Sampling(temperature=0.7, top_k=1000, top_p=0.5, seed=5),
]


def test_a_draw_does_not_depend_on_the_batch_around_it() -> None:
    scores, tokens = scores_of(5, 3000), torch.arange(3000)
    draws = [Draw(item, step) for step, item in enumerate(MIXED)]

    together = drawn(scores, tokens, draws)
    backwards = drawn(scores.flip(0), tokens, draws[::-1]).flip(0)
    alone = [int(drawn(scores[row : row + 1], tokens, draws[row : row + 1])) for row in range(5)]

    assert together.tolist() == backwards.tolist() == alone


def test_a_draw_does_not_depend_on_where_a_token_stands() -> None:
    scores, order = scores_of(5, 3000), torch.randperm(3000)
    draws = [Draw(item, 7) for item in MIXED]

    plain = drawn(scores, torch.arange(3000), draws)
    shuffled = order[drawn(scores[:, order], order, draws)]

    assert plain.tolist() == shuffled.tolist()


def test_draws_follow_the_distribution() -> None:
    """4 tokens, 20 000 draws: a share is off by 0.015 once in about 10 000 runs; seeds are fixed."""
    scores, tokens = torch.tensor([[2.0, 1.0, 0.0, -1.0]]), torch.tensor([5, 151_670, 9, 217_000])
    item = Sampling(temperature=0.8, seed=11)

    counts = Counter(int(drawn(scores, tokens, [Draw(item, step)])) for step in range(20_000))

    expected = (scores[0] / 0.8).softmax(-1).tolist()
    assert [counts[column] / 20_000 for column in range(4)] == pytest.approx(expected, abs=0.015)


def test_seed_and_step_both_decide_a_draw() -> None:
    scores, tokens = torch.zeros(1, 64), torch.arange(64)
    by_seed = {int(drawn(scores, tokens, [Draw(Sampling(temperature=1, seed=s), 0)])) for s in range(64)}
    by_step = {int(drawn(scores, tokens, [Draw(Sampling(temperature=1, seed=0), s)])) for s in range(64)}

    assert len(by_seed) > 30
    assert len(by_step) > 30


@pytest.mark.parametrize("scale", [0.0, 1e-3, 30.0])
def test_few_candidates_decide_like_a_full_sort(scale: float) -> None:
    """Flat, tied and steep scores; the first is undecided after the candidates."""
    scores, tokens = (scores_of(40, 500) * scale).round(decimals=1), torch.arange(500)
    draws = [Draw(Sampling(temperature=0.9, top_k=k, top_p=0.8, seed=k), 3) for k in range(40)]

    few = drawn(scores, tokens, draws, candidate_count=8)

    assert few.tolist() == drawn(scores, tokens, draws, candidate_count=500).tolist()


def test_what_is_not_allowed_is_never_drawn_and_nan_counts_as_that() -> None:
    scores = torch.full((4, 9), -math.inf)
    scores[:, 4], scores[:, 5] = 0.0, math.nan
    draws = [Draw(Sampling(temperature=t, top_k=3, top_p=0.9), 0) for t in (0.0, 0.1, 1.0, 2.0)]

    assert drawn(scores, torch.arange(9), draws).tolist() == [4, 4, 4, 4]


@pytest.mark.gpu
# It compares two devices; where there is one there is nothing to compare.
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device to compare the CPU with")
def test_a_gpu_draws_what_a_cpu_draws_alone_and_in_a_batch() -> None:
    """Other kernels, the same tokens: the filters never wait for the device, and sums are exact enough."""
    scores, tokens = scores_of(len(MIXED), 64_000), torch.arange(64_000)
    on_gpu, names = scores.cuda(), tokens.cuda()

    for step in range(20):
        draws = [Draw(item, step) for item in MIXED]
        together = drawn(on_gpu, names, draws).tolist()
        alone = [
            int(drawn(on_gpu[row : row + 1], names, draws[row : row + 1])) for row in range(len(MIXED))
        ]
        assert together == alone == drawn(scores, tokens, draws).tolist()
