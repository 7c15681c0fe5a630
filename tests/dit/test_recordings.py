"""Passes by a desk and compiled layers: the same velocities, whatever the sizes, compiled once."""

import random
from collections.abc import Iterator, Sequence
from contextvars import copy_context
from dataclasses import replace

import pytest
import torch
from torch._dynamo.utils import counters

from dit_service.network import recordings
from dit_service.network.block import Heard
from dit_service.network.compiling import for_all_sizes
from dit_service.network.recordings import Recordings
from dit_service.network.transformer import DiffusionTransformer, Row
from dit_service.networks import load_dit
from tests.dit.conftest import CPU
from tests.dit.golden import CHECKPOINTS, MODELS, assert_close
from tests.dit.tensors import drawn

ROUNDING = 5e-6
TRACED = "eager"
"""What torch compiles from, run as it is: compiling it needs a compiler, and long."""


@pytest.fixture(scope="module")
def network() -> Iterator[DiffusionTransformer]:
    torch.compiler.reset()
    counters.clear()  # of what other tests compiled
    yield load_dit(CHECKPOINTS / MODELS["base"], CPU, torch.float32).transformer
    torch.compiler.reset()


@pytest.fixture(scope="module")
def fast(network: DiffusionTransformer) -> Recordings:
    return Recordings(load_dit(CHECKPOINTS / MODELS["base"], CPU, torch.float32).transformer, None, TRACED)


def rows_of(
    network: DiffusionTransformer, frames: Sequence[int], times: Sequence[float], guided: int = 0
) -> list[Row]:
    """Songs of so many frames, each at its time; the last `guided` hear no condition."""
    moments = network.moments(times)
    hearing = len(frames) - guided
    heard = [network.heard(drawn(100 + place, 3 + 5 * place, 64)) for place in range(hearing)]
    return [
        Row(drawn(place, count, network.sizes.frame_width), moments[place], told)
        for place, (count, told) in enumerate(zip(frames, [*heard, *[None] * guided], strict=True))
    ]


PASSES = [
    ((300,), (0.7,), 0),
    ((131, 600, 128, 257), (0.9, 0.3, 0.9, 1.0), 0),
    ((300, 300), (0.5, 0.5), 1),
    ((131, 600, 131, 600), (0.9, 0.2, 0.9, 0.2), 2),
    ((2 * recordings.MAX_TOKENS + 2,), (0.4,), 0),
]


@pytest.mark.parametrize(("frames", "times", "guided"), PASSES)
def test_a_recorded_pass_gives_what_a_plain_one_gives(
    network: DiffusionTransformer,
    fast: Recordings,
    frames: tuple[int, ...],
    times: tuple[float, ...],
    guided: int,
) -> None:
    rows = rows_of(network, frames, times, guided)

    found = [fast(rows) for _ in range(3)][-1]

    for velocity, flow, row in zip(network(rows), found, rows, strict=True):
        assert_close(flow.reshape(-1, network.sizes.channels)[: len(row.frames)], velocity, ROUNDING)


def test_what_lay_on_the_desk_before_is_not_heard(network: DiffusionTransformer, fast: Recordings) -> None:
    (long,) = rows_of(network, (254,), (0.7,))
    (short,) = rows_of(network, (140,), (0.7,))
    (before,) = fast([short])

    fast([Row(1e3 * long.frames, long.moment, long.heard)])
    (after,) = fast([short])

    torch.testing.assert_close(after, before, atol=0, rtol=0)


def test_a_pass_that_failed_while_it_was_laid_is_not_heard(
    network: DiffusionTransformer, fast: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(network, (140, 300), (0.7, 0.2))
    before = fast(rows)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    with monkeypatch.context() as without_memory, pytest.raises(torch.OutOfMemoryError):
        without_memory.setattr(recordings, "around", full)
        fast(rows_of(network, (300, 140), (0.2, 0.7)))
    told = network.heard(drawn(9, 12, 64))
    with pytest.raises(RuntimeError):
        fast([replace(rows[0], heard=Heard(told.keys, told.values[..., :3])), rows[1]])

    for velocity, expected in zip(fast(rows), before, strict=True):
        torch.testing.assert_close(velocity, expected, atol=0, rtol=0)


def test_batches_that_change_with_every_song_are_soon_all_recorded(
    network: DiffusionTransformer, fast: Recordings
) -> None:
    """As they come one after the other, of songs that arrive by chance and take eight steps each."""
    chance = random.Random(1)
    (moment,) = network.moments([0.7])
    heard = network.heard(drawn(1, 200, 64))
    met: dict[recordings.Size, int] = {}
    under_way: list[tuple[Row, int]] = []
    recorded_again = 0

    for place in range(12_000):
        under_way = [(row, steps - 1) for row, steps in under_way if steps > 1]
        while not under_way or (len(under_way) < recordings.MAX_ROWS and chance.random() < 0.25):
            seconds = chance.choice((30, 60, 120, 240)) * chance.uniform(0.8, 1.2)
            under_way.append((Row(torch.empty(int(25 * seconds), 0), moment, heard), 8))
        if (size := fast._size([row for row, _ in under_way])) is not None:
            recent = sorted(met.values(), reverse=True)[: recordings.KEPT]
            recorded_again += place > 4000 and met.get(size, -1) < recent[-1]
            met[size] = place

    assert recorded_again < 0.01 * 8000


def test_layers_are_compiled_for_all_sizes_at_once(network: DiffusionTransformer, fast: Recordings) -> None:
    fast.warm([64], guided=True)
    fast.warm([64], guided=False)
    known = counters["stats"]["unique_graphs"]

    for frames, times, guided in PASSES:
        fast(rows_of(network, [count + 34 for count in frames], times, guided))

    assert counters["stats"]["unique_graphs"] == known
    assert known <= 12, "two kinds of layers, guided or not, on the desk or not; and the last steps"


def test_options_of_the_compiler_leave_nothing_behind_in_a_thread() -> None:
    with for_all_sizes():
        pass
    known = len(copy_context())

    with for_all_sizes():
        pass

    assert len(copy_context()) == known


def test_sizes_that_are_rarely_met_are_forgotten(
    network: DiffusionTransformer, fast: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "KEPT", 2)

    for frames in (200, 500, 800, 1100):
        fast(rows_of(network, (frames,), (0.7,)))

    assert [size.asked for size in fast._graphs] == [512, 640]
