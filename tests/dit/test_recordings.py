"""Passes by a desk and compiled layers: the same velocities, whatever the sizes, compiled once."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from dit_service.network import recordings
from dit_service.network.recordings import Recordings
from dit_service.network.transformer import DiffusionTransformer, Row
from dit_service.networks import load_dit
from tests.dit.conftest import CPU
from tests.dit.golden import CHECKPOINTS, MODELS, assert_close

ROUNDING = 5e-6
TRACED = "eager"
"""What torch compiles from, run as it is: compiling it needs a compiler, and long."""


@pytest.fixture(scope="module")
def network() -> Iterator[DiffusionTransformer]:
    torch.compiler.reset()
    yield load_dit(CHECKPOINTS / MODELS["base"], CPU, torch.float32).transformer
    torch.compiler.reset()


@pytest.fixture(scope="module")
def fast(network: DiffusionTransformer) -> Recordings:
    return Recordings(load_dit(CHECKPOINTS / MODELS["base"], CPU, torch.float32).transformer, TRACED)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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


def test_layers_are_compiled_for_all_sizes_at_once(network: DiffusionTransformer, fast: Recordings) -> None:
    fast.warm([64], guided=True)
    fast.warm([64], guided=False)
    known = counters["stats"]["unique_graphs"]

    for frames, times, guided in PASSES:
        fast(rows_of(network, [count + 34 for count in frames], times, guided))

    assert counters["stats"]["unique_graphs"] == known
    assert known <= 12, "two kinds of layers, guided or not, on the desk or not; and the last steps"


def test_sizes_that_are_rarely_met_are_forgotten(
    network: DiffusionTransformer, fast: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "KEPT", 2)

    for frames in (200, 500, 800, 1100):
        fast(rows_of(network, (frames,), (0.7,)))

    assert [size.asked for size in fast._graphs] == [512, 640]
