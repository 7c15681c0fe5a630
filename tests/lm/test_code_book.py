"""Recorded draws: the same tokens as unrecorded ones, whatever batch came before in the same memory."""

import random
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor

from lm_service.chooser import Chooser
from lm_service.code_book import CudaGraphs, Record
from lm_service.grammar import Grammar
from lm_service.outline import Outline, Phase
from lm_service.sampling import Sampling
from lm_service.seat import Seat, Track
from lm_service.vocabulary import CodeWindow
from tests.lm.fakes import GRAMMAR

CPU = torch.device("cpu")
ROWS, MOST = 40, 20
WIDE = SimpleNamespace(
    window=CodeWindow(151_669, tuple(range(64_000))), vocabulary=SimpleNamespace(end_of_turn=151_645)
)
"""What draws of codes need of a grammar, with the code book as released."""
SAMPLINGS = (
    Sampling(temperature=0.85, top_p=0.9),
    Sampling(temperature=0.0),
    Sampling(temperature=2.0, top_k=50),
    Sampling(temperature=1.0),
    Sampling(temperature=0.7, top_k=100, top_p=0.5),
)


def kept(work: Callable[[], None]) -> Callable[[], None]:
    """Stands for a CUDA graph where there is no GPU: the same work on the same memory."""
    work()
    return work


def seats_of(grammar: Grammar, draw: random.Random, count: int) -> list[Seat]:
    rows = draw.sample(range(ROWS), 2 * count)
    made = []
    for place in range(count):
        item = replace(draw.choice(SAMPLINGS), seed=draw.randrange(2**63))
        count_known = draw.choice((None, 50))
        window = grammar.window
        written = [draw.randrange(window.first, window.stop) for _ in range(draw.randrange(8))]
        outline = Outline(phase=Phase.CODES, code_count=count_known)
        track = Track(grammar, outline, item, draw.choice((1.0, 2.0, 3.0)), written)
        guided = draw.random() < 0.7
        made.append(Seat(track, rows[2 * place], rows[2 * place + guided]))
    return made


def logits_of(seed: int, width: int) -> Tensor:
    logits = torch.randn(ROWS, width, generator=torch.Generator().manual_seed(seed)) * 4
    logits[:, ::11] = torch.nan
    return logits


def compare(grammar: Grammar, record: Record, device: torch.device, batches: int) -> None:
    """Batches of changing size and members over one memory; some stay for several steps."""
    recorded, plain = Chooser(grammar, device, record, MOST), Chooser(grammar, device)
    draw, width = random.Random(5), grammar.window.stop + 5
    for step in range(batches):
        seats = seats_of(grammar, draw, draw.randrange(1, MOST + 1))
        for again in range(draw.randrange(1, 4)):
            logits = logits_of(10 * step + again, width).to(device)
            expected = plain.choose(logits, seats).tolist()
            assert recorded.choose(logits, seats).tolist() == expected
            for seat, token in zip(seats, expected, strict=True):
                if grammar.window.first <= token < grammar.window.stop:
                    written = seat.track.output
                    assert isinstance(written, list)  # as the engine's is
                    written.append(token)


def test_recorded_draws_are_the_unrecorded_ones() -> None:
    compare(GRAMMAR, kept, CPU, batches=60)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a CUDA device")
def test_draws_recorded_as_cuda_graphs_are_the_unrecorded_ones() -> None:
    compare(cast(Grammar, WIDE), CudaGraphs(), torch.device("cuda"), batches=20)
