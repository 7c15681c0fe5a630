"""Encoders that are compiled and rounded up in length: what they make of a sequence stays the same."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from dit_service.network.encoder import Encoder
from dit_service.network.encoder_recordings import EncoderRecordings
from dit_service.networks import load_dit
from dit_service.text_encoder import TextEncoder
from tests.dit.conftest import CPU
from tests.dit.golden import CHECKPOINTS, MODELS, assert_close

ROUNDING = 5e-6
LENGTHS = (64, 128)
TRACED = "eager"
"""What torch compiles from, run as it is: compiling it needs a compiler, and long."""


@pytest.fixture(scope="module")
def encoders() -> Iterator[dict[str, Encoder]]:
    """Two of lyrics, and two of texts: the second of each is compiled."""
    torch.compiler.reset()
    lyrics = [load_dit(CHECKPOINTS / MODELS["base"], CPU, torch.float32).conditioner for _ in range(2)]
    folder = CHECKPOINTS / "Qwen3-Embedding-0.6B"
    texts = [TextEncoder.load(folder, CPU, torch.float32).network for _ in range(2)]
    found = {"lyrics": lyrics[0].lyric_encoder, "texts": texts[0]}
    for name, encoder in (("lyrics", lyrics[1].lyric_encoder), ("texts", texts[1])):
        encoder.hurried = EncoderRecordings(encoder, LENGTHS, None, TRACED)
        found[f"swift {name}"] = encoder
    yield found
    torch.compiler.reset()


def drawn(seed: int, length: int, encoder: Encoder) -> Tensor:
    return torch.randn(length, encoder.sizes.hidden, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["lyrics", "texts"])
@pytest.mark.parametrize("length", [1, 63, 64, 100, 128, 200])
def test_a_sequence_that_is_rounded_up_becomes_what_it_is_alone(
    encoders: dict[str, Encoder], name: str, length: int
) -> None:
    plain, swift = encoders[name], encoders[f"swift {name}"]
    x = drawn(length, length, plain)

    assert_close(swift(x), plain(x), ROUNDING)


@pytest.mark.parametrize("name", ["lyrics", "texts"])
def test_what_was_encoded_before_is_not_heard(encoders: dict[str, Encoder], name: str) -> None:
    swift = encoders[f"swift {name}"]
    x = drawn(1, 40, swift)
    before = swift(x)

    swift(1e3 * drawn(2, 64, swift))
    after = swift(x)

    torch.testing.assert_close(after, before, atol=0, rtol=0)
