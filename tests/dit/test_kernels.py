"""What our kernels compute, without a GPU: in Triton's interpreter, in every size of blocks that fits.

`make kernels` runs this. Triton is not among what the suite installs: vLLM behaves differently beside it.
What the compiler makes of the kernels, and bfloat16, is `test_gpu.py`'s.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from diffusers import AutoencoderOobleck

from dit_service.codec import oobleck
from dit_service.codec.oobleck import Oobleck
from dit_service.network.attention import EVERYWHERE, attend, spans
from tests.dit.golden import assert_close
from tests.dit.random_codec import published_latents, published_sound, small_codec
from tests.dit.tensors import drawn, far

triton = pytest.importorskip("triton", reason="no Triton: `make kernels` runs these tests")

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # the published form of the codec is an old one
    pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning"),  # the interpreter's
    pytest.mark.skipif(not triton.knobs.runtime.interpret, reason="asks for TRITON_INTERPRET=1"),
]
ROUNDING = 2e-5
PLACES = range(4)
"""As many sizes of blocks as are tried for a product, or fewer."""


class OfSize:
    """Stands for a kernel that times its sizes of blocks: runs it in the `place`-th of those that fit."""

    def __init__(self, tuned: Any, place: int) -> None:
        self._tuned = tuned
        self._place = place
        self.used: set[tuple[int, ...]] = set()

    def __getitem__(self, grid: Callable[[dict[str, int]], tuple[int, ...]]) -> Callable[..., None]:
        def launch(*arguments: Any, **kinds: Any) -> None:
            blocks = self._fitting(arguments, kinds)
            self.used.add(tuple(blocks.values()))
            self._tuned.fn[grid(blocks)](*arguments, **kinds, **blocks)

        return launch

    def _fitting(self, arguments: tuple[Any, ...], kinds: dict[str, Any]) -> dict[str, int]:
        configurations = self._tuned.configs
        if self._tuned.early_config_prune is not None:
            told = dict(zip(self._tuned.arg_names, arguments, strict=False))
            configurations = self._tuned.early_config_prune(configurations, told, **kinds)
        blocks: dict[str, int] = configurations[min(self._place, len(configurations) - 1)].kwargs
        return blocks


@pytest.fixture(params=PLACES)
def convolutions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> OfSize:
    """The codec computes with our kernel, in one size of blocks."""
    from dit_service.codec import kernels  # noqa: PLC0415

    kernel = OfSize(kernels._convolve, request.param)
    monkeypatch.setattr(kernels, "_convolve", kernel)
    monkeypatch.setattr(oobleck, "convolve", kernels.convolve)
    return kernel


@pytest.fixture(scope="module", params=[32, 128])
def network(request: pytest.FixtureRequest) -> AutoencoderOobleck:
    """Narrow, or as wide at its end as the released one: there units are one kernel, before it two."""
    return small_codec(request.param)


def test_sound_is_that_of_the_published_form(network: AutoencoderOobleck, convolutions: OfSize) -> None:
    latents = drawn(1, 13, network.config.decoder_input_channels)

    sound = Oobleck(network).decode(latents)

    assert convolutions.used
    assert_close(sound, published_sound(network, latents), ROUNDING)


def test_latents_are_those_of_the_published_form(network: AutoencoderOobleck, convolutions: OfSize) -> None:
    sound = 0.3 * drawn(2, 104, 2)

    latents = Oobleck(network).encode(sound)

    assert convolutions.used
    assert_close(latents, published_latents(network, sound), ROUNDING)


@pytest.mark.parametrize("convolutions", [0], indirect=True)
@pytest.mark.parametrize("network", [32], indirect=True)
def test_half_precision_is_as_near_to_float32_as_plain_half_precision(
    network: AutoencoderOobleck, convolutions: OfSize
) -> None:
    """In float16: the interpreter has no bfloat16."""
    plain = deepcopy(network).half()
    ours = Oobleck(plain)
    latents, sound = drawn(7, 30, network.config.decoder_input_channels), 0.3 * drawn(8, 240, 2)

    decoded, encoded = ours.decode(latents.half()), ours.encode(sound.half())

    assert convolutions.used
    for found, published, given in (
        (decoded, published_sound, latents),
        (encoded, published_latents, sound),
    ):
        exact, rounded = published(network, given), published(plain, given.half())
        assert far(found, exact) <= far(rounded, exact)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("window", [None, 16, 128])
@pytest.mark.parametrize("normed", [False, True])
def test_attention_is_that_of_torch(
    monkeypatch: pytest.MonkeyPatch, place: int, window: int | None, normed: bool
) -> None:
    from dit_service.network import kernels  # noqa: PLC0415

    kernel = OfSize(kernels._attend, place)
    monkeypatch.setattr(kernels, "_attend", kernel)
    asking = heard = spans((1, 150, 289), torch.device("cpu"))
    if window is None:
        heard = spans((7, 128, 300), torch.device("cpu"))
    queries = drawn(3, 440, 4, 32)
    keys, values = drawn(4, int(heard.edges[-1]), 2, 32), drawn(5, int(heard.edges[-1]), 2, 32)
    norm = drawn(6, 32) if normed else None

    mixed = kernels.attend(
        queries, keys, values, norm, 1e-6, asking.edges, heard.edges, asking.longest,
        EVERYWHERE if window is None else window,
    )  # fmt: skip

    assert kernel.used
    assert_close(mixed, attend(queries, keys, values, asking, heard, window, norm, 1e-6), ROUNDING)
