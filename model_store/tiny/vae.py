"""The audio VAE: Oobleck with the weight-norm names of the release (`weight_g`, `weight_v`)."""

import math
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from common.music import CHANNELS, SAMPLE_RATE_HZ
from model_store.tiny.dims import LATENT_CHANNELS, VAE_CHANNELS, VAE_MULTIPLES, VAE_STRIDES
from model_store.tiny.weights import Draw, save, save_json

RESIDUAL_GAIN = 0.35
"""Of a residual unit's branch; fifteen of them in a row then raise the level by a factor of about 2.4."""

OUTPUT_GAIN = 0.03
"""Of the last convolution: leaves the sound at about -20 dB below full scale."""


class _Network:
    """Collects the tensors of an encoder or a decoder under the names that diffusers gives them."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self.tensors: dict[str, Tensor] = {}

    def convolution(self, name: str, shape: tuple[int, int, int], gain: float, biases: int) -> None:
        """`gain` is the length of each of the first axis's filters, whatever the shape."""
        direction = self._draw.normal(f"{name}.weight_v", shape, std=1.0)
        self.tensors[f"{name}.weight_v"] = direction
        self.tensors[f"{name}.weight_g"] = torch.full((shape[0], 1, 1), gain)
        if biases:
            self.tensors[f"{name}.bias"] = self._draw.normal(f"{name}.bias", (biases,), std=0.02)

    def snake(self, name: str, channels: int) -> None:
        for tensor in ("alpha", "beta"):
            self.tensors[f"{name}.{tensor}"] = self._draw.normal(
                f"{name}.{tensor}", (1, channels, 1), std=0.2
            )

    def residual_unit(self, name: str, channels: int) -> None:
        self.snake(f"{name}.snake1", channels)
        self.convolution(f"{name}.conv1", (channels, channels, 7), 1.0, channels)
        self.snake(f"{name}.snake2", channels)
        self.convolution(f"{name}.conv2", (channels, channels, 1), RESIDUAL_GAIN, channels)


def build(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True)
    save_json(folder / "config.json", _config())
    network = _Network(Draw(seed, "vae"))
    _encoder(network)
    _decoder(network)
    save(folder / "diffusion_pytorch_model.safetensors", network.tensors, torch.float32)


def _encoder(network: _Network) -> None:
    width = 2 * LATENT_CHANNELS  # also the encoder's output: a mean and a scale per latent channel
    widths = [width, *(width * multiple for multiple in VAE_MULTIPLES)]
    network.convolution("encoder.conv1", (width, CHANNELS, 7), 1.0, width)
    for index, ((inputs, outputs), stride) in enumerate(zip(pairwise(widths), VAE_STRIDES, strict=True)):
        block = f"encoder.block.{index}"
        for unit in (1, 2, 3):
            network.residual_unit(f"{block}.res_unit{unit}", inputs)
        network.snake(f"{block}.snake1", inputs)
        network.convolution(f"{block}.conv1", (outputs, inputs, 2 * stride), 1.0, outputs)
    network.snake("encoder.snake1", widths[-1])
    network.convolution("encoder.conv2", (width, widths[-1], 3), 1.0, width)


def _decoder(network: _Network) -> None:
    widths = [VAE_CHANNELS * multiple for multiple in (1, *VAE_MULTIPLES)][::-1]
    network.convolution("decoder.conv1", (widths[0], LATENT_CHANNELS, 7), 1.0, widths[0])
    for index, ((inputs, outputs), stride) in enumerate(
        zip(pairwise(widths), VAE_STRIDES[::-1], strict=True)
    ):
        block = f"decoder.block.{index}"
        network.snake(f"{block}.snake1", inputs)
        # A transposed convolution is normalised per input channel; two taps of each meet in a sample.
        gain = math.sqrt(outputs * stride / inputs)
        network.convolution(f"{block}.conv_t1", (inputs, outputs, 2 * stride), gain, outputs)
        for unit in (1, 2, 3):
            network.residual_unit(f"{block}.res_unit{unit}", outputs)
    network.snake("decoder.snake1", widths[-1])
    network.convolution("decoder.conv2", (CHANNELS, widths[-1], 7), OUTPUT_GAIN, 0)


def _config() -> dict[str, object]:
    return {
        "_class_name": "AutoencoderOobleck",
        "_diffusers_version": "0.36.0",
        "audio_channels": CHANNELS,
        "channel_multiples": list(VAE_MULTIPLES),
        "decoder_channels": VAE_CHANNELS,
        "decoder_input_channels": LATENT_CHANNELS,
        "downsampling_ratios": list(VAE_STRIDES),
        "encoder_hidden_size": 2 * LATENT_CHANNELS,
        "sampling_rate": SAMPLE_RATE_HZ,
    }
