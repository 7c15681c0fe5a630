"""What only a GPU computes: our kernels and recorded passes, against float32 on the same device."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from common.revision import Revision
from dit_service import torch_engine
from dit_service.network import attention
from dit_service.network.attention import attend, spans
from dit_service.network.encoder import Encoder
from dit_service.network.encoder_recordings import EncoderRecordings
from dit_service.network.recorder import Recorder
from dit_service.network.recordings import Recordings
from dit_service.network.transformer import DiffusionTransformer, Row
from dit_service.networks import load_dit
from dit_service.text_encoder import TextEncoder
from dit_service.vae import Vae
from tests.dit import tensors
from tests.dit.golden import CHECKPOINTS, MODELS
from tests.dit.random_codec import random_codec
from tests.dit.tensors import far

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # the published codec is of an old form
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: the kernels are for one"),
]
GPU = torch.device("cuda")
BF16 = torch.bfloat16
WORSE = 1.1
"""Times as far from float32 as plain bfloat16 that ours may be: both round, in other places."""


def drawn(seed: int, *shape: int) -> Tensor:
    return tensors.drawn(seed, *shape).to(GPU)


@pytest.fixture(scope="module")
def exact() -> DiffusionTransformer:
    return load_dit(CHECKPOINTS / MODELS["base"], GPU, torch.float32).transformer


@pytest.fixture(scope="module")
def plain() -> DiffusionTransformer:
    return load_dit(CHECKPOINTS / MODELS["base"], GPU, BF16).transformer


@pytest.fixture
def recorded(plain: DiffusionTransformer) -> Iterator[DiffusionTransformer]:
    plain.hurried = Recordings(plain, Recorder(GPU))
    yield plain
    plain.hurried = None


def rows_of(network: DiffusionTransformer) -> list[Row]:
    """Two songs, one of them guided, at times of their own."""
    moments, kind = network.moments([0.9, 0.3]), network.dtype
    width = network.sizes.frame_width
    first, second = drawn(1, 131, width).to(kind), drawn(2, 700, width).to(kind)
    heard = [network.heard(drawn(10 + place, 20 + place, 64).to(kind)) for place in range(2)]
    return [
        Row(first, moments[0], heard[0]),
        Row(second, moments[1], heard[1]),
        Row(second, moments[1], None),
    ]


@pytest.mark.parametrize("window", [None, 16, 128])
@pytest.mark.parametrize("normed", [False, True])
def test_attention_is_that_of_float32(window: int | None, normed: bool) -> None:
    lengths = (700, 1, 0, 129)
    queries, keys, values = drawn(1, 900, 16, 128), drawn(2, 900, 8, 128), drawn(3, 900, 8, 128)
    rows, norm = spans(lengths, GPU), drawn(4, 128) if normed else None

    def heard(kind: torch.dtype) -> Tensor:
        told = None if norm is None else norm.to(kind)
        asked, near, said = (side.to(kind) for side in (queries, keys, values))
        return attend(asked, near, said, rows, rows, window, told, 1e-6)[: sum(lengths)]

    assert far(heard(BF16), heard(torch.float32)) < 6e-3


def test_attention_does_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "why_no_kernels", lambda: "Failed to find C compiler")
    queries, keys, values = drawn(1, 300, 16, 128), drawn(2, 300, 8, 128), drawn(3, 300, 8, 128)
    rows = spans((100, 200), GPU)

    found = attend(queries.to(BF16), keys.to(BF16), values.to(BF16), rows, rows, 16)

    assert far(found, attend(queries, keys, values, rows, rows, 16)) < 6e-3


def test_recorded_passes_are_as_near_to_float32_as_plain_ones(
    exact: DiffusionTransformer, plain: DiffusionTransformer, recorded: DiffusionTransformer
) -> None:
    truth = exact(rows_of(exact))
    swift, recorded.hurried = recorded.hurried, None
    rough = plain(rows_of(plain))
    recorded.hurried = swift
    passes = [recorded(rows_of(recorded)) for _ in range(4)]  # tried, recorded, replayed

    for found in passes:
        for velocity, usual, right in zip(found, rough, truth, strict=True):
            assert far(velocity, right) <= WORSE * far(usual, right)
    torch.testing.assert_close(passes[3], passes[2], atol=0, rtol=0)


@pytest.mark.parametrize("name", ["lyrics", "texts"])
@pytest.mark.parametrize("length", [40, 128, 300, 700])
def test_recorded_encoders_are_as_near_to_float32_as_plain_ones(
    encoders: dict[str, tuple[Encoder, Encoder, Encoder]], name: str, length: int
) -> None:
    exact, plain, recorded = encoders[name]
    x = drawn(length, length, exact.sizes.hidden)
    truth = exact(x)

    for _ in range(2):
        assert far(recorded(x.to(BF16)), truth) <= WORSE * far(plain(x.to(BF16)), truth)


@pytest.fixture(scope="module")
def encoders() -> dict[str, tuple[Encoder, Encoder, Encoder]]:
    """Of lyrics and of texts: in float32, in bfloat16, and that recorded."""

    def lyrics(kind: torch.dtype) -> Encoder:
        encoder: Encoder = load_dit(CHECKPOINTS / MODELS["base"], GPU, kind).conditioner.lyric_encoder
        return encoder

    def texts(kind: torch.dtype) -> Encoder:
        return TextEncoder.load(CHECKPOINTS / "Qwen3-Embedding-0.6B", GPU, kind).network

    recorder, found = Recorder(GPU), {}
    for name, load in (("lyrics", lyrics), ("texts", texts)):
        exact, plain, recorded = load(torch.float32), load(BF16), load(BF16)
        recorded.hurried = EncoderRecordings(recorded, (128, 512), recorder)
        found[name] = exact, plain, recorded
    return found


def test_memory_that_torch_only_keeps_is_free_for_songs() -> None:
    before = torch_engine._free(GPU)
    assert before is not None

    torch.empty(1 << 30, dtype=torch.uint8, device=GPU)  # which nobody holds

    after = torch_engine._free(GPU)
    assert after is not None
    assert after > before - (1 << 29)


@pytest.fixture(scope="module")
def codecs() -> tuple[Vae, Vae, Vae]:
    """In float32, in plain bfloat16, and with our kernels, which the recorded codec is too narrow for."""
    from dit_service.hurry import hurried  # noqa: PLC0415

    network = random_codec(
        encoder_hidden_size=32,
        decoder_channels=32,
        decoder_input_channels=16,
        downsampling_ratios=[2, 4, 4, 6, 10],
    )
    told = Revision("vae", "random")
    exact, plain = (Vae(told, deepcopy(network).to(GPU, kind).eval()) for kind in (torch.float32, BF16))
    return exact, plain, hurried(plain)


def test_sound_is_as_near_to_float32_as_plain_bfloat16(codecs: tuple[Vae, Vae, Vae]) -> None:
    latents = drawn(5, 1, 300, codecs[0].latent_channels)

    exact, plain, ours = (torch.cat(list(codec.decode(latents))) for codec in codecs)

    assert far(ours, exact) <= WORSE * far(plain, exact)


def test_latents_are_as_near_to_float32_as_plain_bfloat16(codecs: tuple[Vae, Vae, Vae]) -> None:
    sound = 0.3 * drawn(6, 100_000, 2).cpu().numpy()

    exact, plain, ours = (torch.cat(list(codec.encode(sound)), 1) for codec in codecs)

    assert far(ours, exact) <= WORSE * far(plain, exact)


def test_small_tiles_of_our_codec_join_without_a_seam(codecs: tuple[Vae, Vae, Vae]) -> None:
    ours = codecs[2]
    latents = drawn(7, 1, 300, ours.latent_channels)

    whole = torch.cat(list(replace(ours, first_tile_frames=None).decode(latents)))
    joined = torch.cat(list(replace(ours, decode_tile_frames=100, first_tile_frames=50).decode(latents)))

    torch.testing.assert_close(joined, whole, atol=0, rtol=0)
