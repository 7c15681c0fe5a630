"""The codec as a row of matrix products gives what the published form of it gives."""

import pytest
from diffusers import AutoencoderOobleck

from dit_service.codec.oobleck import Oobleck, can_take
from tests.dit.golden import assert_close
from tests.dit.random_codec import published_latents, published_sound, small_codec
from tests.dit.tensors import drawn

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # the published form is an old one
ROUNDING = 2e-5


@pytest.fixture(scope="module", params=[32, 256], ids=["in one kernel", "one after the other"])
def network(request: pytest.FixtureRequest) -> AutoencoderOobleck:
    """Random, of the released form; narrow, or so wide that units are two steps in places."""
    return small_codec(request.param)


def test_sound_is_that_of_the_published_form(network: AutoencoderOobleck) -> None:
    latents = drawn(1, 21, network.config.decoder_input_channels)

    sound = Oobleck(network).decode(latents)

    assert can_take(network)
    assert_close(sound, published_sound(network, latents), ROUNDING)


def test_latents_are_those_of_the_published_form(network: AutoencoderOobleck) -> None:
    sound = 0.3 * drawn(1, 168, 2)

    latents = Oobleck(network).encode(sound)

    assert_close(latents, published_latents(network, sound), ROUNDING)
