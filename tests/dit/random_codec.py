"""A codec of the released form with random weights, which no recorded case needs."""

from typing import Any

import torch
from diffusers import AutoencoderOobleck
from torch import Tensor, nn


def random_codec(**config: Any) -> AutoencoderOobleck:
    """Its weights folded, its Snakes all different; 48 kHz."""
    torch.manual_seed(0)
    codec = AutoencoderOobleck(sampling_rate=48_000, **config)
    for module in codec.modules():
        if hasattr(module, "weight_g"):
            nn.utils.remove_weight_norm(module)
        if hasattr(module, "alpha"):
            nn.init.normal_(module.alpha, std=0.3)
            nn.init.normal_(module.beta, std=0.3)
    return codec.eval()


def small_codec(width: int) -> AutoencoderOobleck:
    """Of two stages, so wide at its end."""
    return random_codec(
        encoder_hidden_size=width,
        decoder_channels=width,
        decoder_input_channels=width // 2,
        downsampling_ratios=[2, 4],
        channel_multiples=[1, 2],
    )


def published_sound(network: Any, latents: Tensor) -> Tensor:
    """`[samples, 2]` of `[frames, channels]`, by diffusers."""
    sound: Tensor = network.decoder(latents.T[None])[0].T
    return sound


def published_latents(network: Any, sound: Tensor) -> Tensor:
    """The mean `[frames, channels]` of `[samples, 2]`, by diffusers."""
    mean: Tensor = network.encoder(sound.T[None]).chunk(2, dim=1)[0][0].T
    return mean
