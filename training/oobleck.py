"""The audio codec while it trains: diffusers' Oobleck at our size, and its file."""

import json
import warnings
from pathlib import Path

import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import load_file, save_file
from torch import Tensor

from common.music import CHANNELS, SAMPLE_RATE_HZ
from training.sizes import LATENT_CHANNELS, VAE_CHANNELS, VAE_MULTIPLES, VAE_STRIDES

WEIGHTS = "diffusion_pytorch_model.safetensors"

CONFIG = {
    "audio_channels": CHANNELS,
    "channel_multiples": list(VAE_MULTIPLES),
    "decoder_channels": VAE_CHANNELS,
    "decoder_input_channels": LATENT_CHANNELS,
    "downsampling_ratios": list(VAE_STRIDES),
    "encoder_hidden_size": 2 * LATENT_CHANNELS,
    "sampling_rate": SAMPLE_RATE_HZ,
}


def build() -> AutoencoderOobleck:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # weight norm in the published, older form
        return AutoencoderOobleck(**CONFIG)


def load(folder: Path) -> AutoencoderOobleck:
    vae = build()
    tensors = load_file(folder / WEIGHTS)
    vae.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return vae


def save(vae: AutoencoderOobleck, folder: Path, dtype: torch.dtype) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    header = {"_class_name": "AutoencoderOobleck", "_diffusers_version": "0.36.0"}
    (folder / "config.json").write_text(json.dumps(header | CONFIG, indent=2) + "\n")
    tensors = {
        name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in vae.state_dict().items()
    }
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


@torch.no_grad()
def normalise(vae: AutoencoderOobleck, spread: Tensor) -> None:
    """Scale the latents to a spread of 1, and have the decoder undo it.

    The layout has no scaling factor. `spread` is `[channels]`, the latents' standard deviation.
    Only the decoder and the means are changed: the posterior's own width is not used after training.
    """
    last, first = vae.encoder.conv2, vae.decoder.conv1
    last.weight_g[:LATENT_CHANNELS] /= spread[:, None, None]
    last.bias[:LATENT_CHANNELS] /= spread
    weight = torch._weight_norm(first.weight_v, first.weight_g, 0) * spread[None, :, None]
    first.weight_v.copy_(weight)
    first.weight_g.copy_(weight.flatten(1).norm(dim=1)[:, None, None])


def compile_encoder(vae: AutoencoderOobleck) -> None:
    """On a GPU make few kernels of the encoder: eager, its activation alone reads memory six times."""
    if vae.device.type == "cuda":
        vae.encoder.compile(dynamic=False)
