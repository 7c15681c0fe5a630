"""The codec as a row of matrix products gives what the published form of it gives."""

import pytest
import torch
from diffusers import AutoencoderOobleck
from torch import Tensor

from dit_service.codec.oobleck import Oobleck, can_take
from tests.dit.golden import assert_close
from tests.dit.random_codec import random_codec

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # the published form is an old one
ROUNDING = 2e-5


@pytest.fixture(scope="module", params=[32, 256], ids=["in one kernel", "one after the other"])
def network(request: pytest.FixtureRequest) -> AutoencoderOobleck:
    """Random, of the released form; narrow, or so wide that units are two steps in places."""
    return random_codec(
        encoder_hidden_size=request.param,
        decoder_channels=request.param,
        decoder_input_channels=request.param // 2,
        downsampling_ratios=[2, 4],
        channel_multiples=[1, 2],
    )


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_sound_is_that_of_the_published_form(network: AutoencoderOobleck) -> None:
    latents = drawn(21, network.config.decoder_input_channels)

    sound = Oobleck(network).decode(latents)

    assert can_take(network)
    assert_close(sound, network.decoder(latents.T[None])[0].T, ROUNDING)


def test_latents_are_those_of_the_published_form(network: AutoencoderOobleck) -> None:
    sound = 0.3 * drawn(168, 2)

    latents = Oobleck(network).encode(sound)

    assert_close(latents, network.encoder(sound.T[None]).chunk(2, dim=1)[0][0].T, ROUNDING)
