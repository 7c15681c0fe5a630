"""The diffusion transformer for benches: ours and diffusers', with the same random weights."""

from dataclasses import dataclass

import torch
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from torch import Tensor

from dit_service.checkpoint import fill, published_name, refuse_left_over
from dit_service.network.sizes import Sizes
from dit_service.network.transformer import DiffusionTransformer, Row
from dit_service.network.weights import join

FRAMES_PER_SECOND = 25
CONDITION_TOKENS = 600


def _alternating(layers: int) -> tuple[bool, ...]:
    return tuple(layer % 2 == 0 for layer in range(layers))


RELEASED = Sizes(
    hidden=2048,
    feed_forward=6144,
    heads=16,
    key_heads=8,
    head_width=128,
    frame_width=192,
    channels=64,
    patch=2,
    condition_width=2048,
    sliding=_alternating(24),
    window=128,
    rope_theta=1e6,
    epsilon=1e-6,
    attention_bias=False,
)
"""The 2B models (spec dit.md 1.2)."""
TINY = Sizes(
    hidden=64,
    feed_forward=96,
    heads=4,
    key_heads=2,
    head_width=16,
    frame_width=24,
    channels=8,
    patch=2,
    condition_width=64,
    sliding=_alternating(4),
    window=16,
    rope_theta=1e6,
    epsilon=1e-6,
    attention_bias=False,
)
"""Those of the recorded cases."""


@dataclass(frozen=True, slots=True)
class Song:
    """What a step reads of a song; its velocity is not followed anywhere."""

    seconds: float
    latents: Tensor
    """`[1, frames, channels]`."""
    context: Tensor
    """`[1, frames, 2 * channels]`."""
    condition: Tensor
    """`[1, tokens, condition width]`."""

    def row(self, network: DiffusionTransformer, t: float, asked: bool = True) -> Row:
        frames = torch.cat([self.context[0], self.latents[0]], dim=-1)
        heard = network.heard(self.condition[0]) if asked else None
        return Row(frames, network.moments([t])[0], heard)


def peer_network(sizes: Sizes, device: torch.device, dtype: torch.dtype) -> AceStepTransformer1DModel:
    """diffusers', of random weights."""
    torch.manual_seed(0)
    with device:
        peer = AceStepTransformer1DModel(
            hidden_size=sizes.hidden,
            intermediate_size=sizes.feed_forward,
            num_hidden_layers=len(sizes.sliding),
            num_attention_heads=sizes.heads,
            num_key_value_heads=sizes.key_heads,
            head_dim=sizes.head_width,
            in_channels=sizes.frame_width,
            audio_acoustic_hidden_dim=sizes.channels,
            patch_size=sizes.patch,
            sliding_window=sizes.window,
            encoder_hidden_size=sizes.condition_width,
        )
    return peer.to(dtype).eval().requires_grad_(False)


def published(peer: AceStepTransformer1DModel) -> dict[str, Tensor]:
    """Its weights under the names that the checkpoints have."""
    return {published_name(f"decoder.{name}"): value for name, value in peer.state_dict().items()}


def networks(
    sizes: Sizes, device: torch.device, dtype: torch.dtype
) -> tuple[DiffusionTransformer, AceStepTransformer1DModel]:
    """Ours and diffusers', ready to predict."""
    peer = peer_network(sizes, device, dtype)
    tensors = published(peer)
    join(tensors, sizes)
    with torch.device("meta"):
        ours = DiffusionTransformer(sizes)
    fill(ours, "decoder.", tensors)
    refuse_left_over(tensors)
    ours.eval().requires_grad_(False)
    ours.prepare(torch.randn(1, sizes.condition_width, device=device).to(dtype))
    return ours, peer


def song(seconds: float, sizes: Sizes, device: torch.device, dtype: torch.dtype) -> Song:
    frames = int(seconds * FRAMES_PER_SECOND)
    drawn = (
        torch.randn(1, length, width, device=device).to(dtype)
        for length, width in (
            (frames, sizes.channels),
            (frames, 2 * sizes.channels),
            (CONDITION_TOKENS, sizes.condition_width),
        )
    )
    return Song(seconds, *drawn)


def peer_step(peer: AceStepTransformer1DModel, songs: list[Song], t: float) -> Tensor:
    """A step of songs of the same length, as diffusers' pipeline does it."""
    times = torch.full((len(songs),), t, device=songs[0].latents.device, dtype=songs[0].latents.dtype)
    velocity: Tensor = peer(
        hidden_states=torch.cat([each.latents for each in songs]),
        timestep=times,
        timestep_r=times,
        encoder_hidden_states=torch.cat([each.condition for each in songs]),
        context_latents=torch.cat([each.context for each in songs]),
        return_dict=False,
    )[0]
    return velocity


def flops(sizes: Sizes, seconds: float, asked: bool = True) -> float:
    """What a step of a song must compute (spec dit.md 8). Keys and values of its condition are there."""
    tokens = -(-int(seconds * FRAMES_PER_SECOND) // sizes.patch)
    per_token = 2 * sizes.hidden * (2 * sizes.query_width + 2 * sizes.key_width)
    per_token += 2 * sizes.hidden * 3 * sizes.feed_forward
    if asked:
        per_token += 2 * sizes.hidden * 2 * sizes.query_width + 4 * CONDITION_TOKENS * sizes.query_width
    heard = [min(tokens, 2 * sizes.window + 1) if sliding else tokens for sliding in sizes.sliding]
    attention = sum(4 * tokens * each * sizes.query_width for each in heard)
    return float(len(sizes.sliding) * per_token * tokens + attention)


def weight_bytes(network: DiffusionTransformer) -> int:
    """What a step must read of the weights, however many songs it is for."""
    return sum(value.numel() * value.element_size() for value in network.layers.parameters())
