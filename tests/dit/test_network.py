"""The diffusion transformer: what songs in one pass are to each other, and what it need not compute."""

from collections.abc import Sequence

import pytest
import torch

from dit_service.network.attention import attend, spans
from dit_service.network.transformer import DiffusionTransformer, Row
from dit_service.networks import DitNetworks, load_dit
from tests.dit.conftest import CPU
from tests.dit.golden import CHECKPOINTS, MODELS, assert_close
from tests.dit.tensors import drawn

ROUNDING = 5e-6


@pytest.fixture(scope="module", params=["base", "xl"])
def networks(request: pytest.FixtureRequest) -> DitNetworks:
    return load_dit(CHECKPOINTS / MODELS[request.param], CPU, torch.float32)


@pytest.fixture
def network(networks: DitNetworks) -> DiffusionTransformer:
    return networks.transformer


def rows_of(network: DiffusionTransformer, frames: Sequence[int], times: Sequence[float]) -> list[Row]:
    """Songs of so many frames, each at its time, each with a condition of its own length."""
    moments = network.moments(times)
    conditions = [drawn(100 + place, 3 + 5 * place, 64) for place in range(len(frames))]
    return [
        Row(
            drawn(place, count, network.sizes.frame_width), moments[place], network.heard(conditions[place])
        )
        for place, count in enumerate(frames)
    ]


def test_songs_in_one_pass_are_those_of_passes_alone(network: DiffusionTransformer) -> None:
    rows = rows_of(network, frames=(131, 600, 128, 257), times=(0.9, 0.3, 0.9, 1.0))

    together = network(rows)

    assert [len(velocity) for velocity in together] == [131, 600, 128, 257]
    for row, velocity in zip(rows, together, strict=True):
        assert_close(velocity, network([row])[0], ROUNDING)


def test_a_song_does_not_change_with_what_its_neighbours_are(network: DiffusionTransformer) -> None:
    first, *others = rows_of(network, frames=(300, 200, 100), times=(0.7, 0.5, 0.1))
    _, *changed = rows_of(network, frames=(300, 200, 100), times=(0.2, 0.6, 0.9))
    changed = [Row(10 * row.frames, row.moment, row.heard) for row in changed]

    torch.testing.assert_close(network([first, *others])[0], network([first, *changed])[0], atol=0, rtol=0)


@pytest.mark.parametrize("length", [1, 40])
def test_the_null_condition_needs_no_attention(networks: DitNetworks, length: int) -> None:
    network, null = networks.transformer, networks.conditioner.null_condition_emb[0]
    (asked,) = rows_of(network, frames=(150,), times=(0.6,))
    attending = Row(asked.frames, asked.moment, network.heard(null.expand(length, -1)))

    told, spared = network([asked, attending]), network([asked, Row(asked.frames, asked.moment, None)])

    assert_close(spared[1], told[1], ROUNDING)
    assert (spared[1] - spared[0]).abs().max() > 1e-3


@pytest.mark.parametrize("length", [1, 16, 17, 127, 128, 129, 400])
@pytest.mark.parametrize("window", [16, 128])
def test_a_window_in_blocks_is_a_window(length: int, window: int) -> None:
    queries, keys, values = drawn(1, length, 4, 8), drawn(2, length, 2, 8), drawn(3, length, 2, 8)
    rows = spans((length,), CPU)
    places = torch.arange(length)
    near = (places - places[:, None]).abs() <= window

    heard = attend(queries, keys, values, rows, rows, window)

    scores = torch.einsum("qhd,khd->hqk", queries, keys.repeat_interleave(2, 1)) / 8**0.5
    weights = scores.masked_fill(~near, -torch.inf).softmax(-1)
    expected = torch.einsum("hqk,khd->qhd", weights, values.repeat_interleave(2, 1))
    assert_close(heard, expected, ROUNDING)
