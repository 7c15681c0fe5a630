"""The codec's networks as a row of convolutions over sound that lies as `[time, channels]`.

Source: spec dit.md 1.2 and 4; the published weights are those of diffusers' Oobleck.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dit_service.codec.convolution import FUSED_COLUMNS, Convolution, Inner, Snake, Taps, convolve


@dataclass(frozen=True, slots=True)
class Unit:
    """A residual unit: what it adds is computed from its input's Snake."""

    wide: Convolution
    inner: Snake
    narrow: Convolution
    following: Snake
    """Of what reads the unit's output."""

    def __call__(self, x: Tensor, turned: Tensor) -> tuple[Tensor, Tensor]:
        rows, kind = len(x), x.dtype
        if self.wide.columns in FUSED_COLUMNS:
            assert self.narrow.bias is not None
            inner = Inner(self.inner, self.narrow.weight, self.narrow.bias)
            found = convolve(
                turned, self.wide, rows, inner=inner, residual=x, plain=kind, active=self.following
            )
        else:
            _, hidden = convolve(turned, self.wide, rows, active=self.inner)
            assert hidden is not None
            found = convolve(hidden, self.narrow, rows, residual=x, plain=kind, active=self.following)
        return _both(found)


@dataclass(frozen=True, slots=True)
class Up:
    """A transposed convolution and the units after it."""

    stride: int
    convolution: Convolution
    following: Snake
    units: tuple[Unit, ...]

    def __call__(self, turned: Tensor) -> Tensor:
        """From a Snake `[time, channels]` to the Snake of `[stride * time, fewer channels]`."""
        time, margin = len(turned), self.stride // 2
        found = convolve(
            turned,
            self.convolution,
            time + 1,
            plain=turned.dtype,
            active=_repeated(self.following, self.stride),
        )
        channels = self.convolution.columns // self.stride
        x, turned = (each.view(-1, channels)[margin : margin + self.stride * time] for each in _both(found))
        for unit in self.units:
            x, turned = unit(x, turned)
        return turned


@dataclass(frozen=True, slots=True)
class Down:
    """Units and the strided convolution after them."""

    stride: int
    units: tuple[Unit, ...]
    convolution: Convolution
    following: Snake

    def __call__(self, x: Tensor, turned: Tensor) -> tuple[Tensor, Tensor]:
        for unit in self.units:
            x, turned = unit(x, turned)
        rows = len(turned) // self.stride
        return _both(convolve(turned, self.convolution, rows, plain=x.dtype, active=self.following))


class Oobleck:
    """Both ways, for tiles: see `dit_service.vae.Coder`."""

    def __init__(self, network: Any) -> None:
        """`network` is diffusers' codec, its weight normalisation folded."""
        self._decoder = Decoder(network.decoder)
        self._encoder = Encoder(network.encoder, network.config.decoder_input_channels)

    def decode(self, latents: Tensor) -> Tensor:
        return self._decoder(latents.contiguous())

    def encode(self, sound: Tensor) -> Tensor:
        return self._encoder(sound.contiguous())


def can_take(network: Any) -> bool:
    """Whether the kernels do for diffusers' codec: for the released ones, not for the narrowest."""
    sizes = network.config
    widths = (sizes.decoder_input_channels, sizes.decoder_channels, sizes.encoder_hidden_size)
    return not any(width % 16 for width in widths) and not any(
        stride % 2 for stride in sizes.downsampling_ratios
    )


class Decoder:
    def __init__(self, network: Any) -> None:
        """`network` is diffusers' decoder, its weight normalisation folded."""
        self._first = _convolution(network.conv1)
        self._snake = _snake(network.block[0].snake1)
        following = [block.snake1 for block in network.block[1:]] + [network.snake1]
        self._ups = [
            Up(
                block.conv_t1.stride[0],
                _transposed(block.conv_t1),
                _snake(block.res_unit1.snake1),
                _units(block, after),
            )
            for block, after in zip(network.block, following, strict=True)
        ]
        self._last = _convolution(network.conv2)

    def __call__(self, latents: Tensor) -> Tensor:
        """Sound `[samples, 2]` float32 of latents `[frames, channels]` in the weights' type."""
        _, turned = convolve(latents, self._first, len(latents), active=self._snake)
        assert turned is not None
        for up in self._ups:
            turned = up(turned)
        sound, _ = convolve(turned, self._last, len(turned), plain=torch.float32)
        assert sound is not None
        return sound


class Encoder:
    def __init__(self, network: Any, latent_channels: int) -> None:
        """`network` is diffusers' encoder, its weight normalisation folded."""
        self._first = _convolution(network.conv1)
        self._snake = _snake(network.block[0].res_unit1.snake1)
        following = [block.res_unit1.snake1 for block in network.block[1:]] + [network.snake1]
        self._downs = [
            Down(block.conv1.stride[0], _units(block, block.snake1), _strided(block.conv1), _snake(after))
            for block, after in zip(network.block, following, strict=True)
        ]
        # The first half is the mean; nobody asks for the scale.
        self._last = _convolution(network.conv2, latent_channels)

    def __call__(self, sound: Tensor) -> Tensor:
        """The mean of latents `[frames, channels]` float32 of sound `[samples, 2]` in the weights' type."""
        x, turned = _both(convolve(sound, self._first, len(sound), plain=sound.dtype, active=self._snake))
        for down in self._downs:
            x, turned = down(x, turned)
        mean, _ = convolve(turned, self._last, len(turned), plain=torch.float32)
        assert mean is not None
        return mean


def _units(block: Any, after: Any) -> tuple[Unit, ...]:
    units = (block.res_unit1, block.res_unit2, block.res_unit3)
    following = (block.res_unit2.snake1, block.res_unit3.snake1, after)
    return tuple(
        Unit(_convolution(unit.conv1), _snake(unit.snake2), _convolution(unit.conv2), _snake(snake))
        for unit, snake in zip(units, following, strict=True)
    )


def _convolution(module: Any, columns: int | None = None) -> Convolution:
    """Of stride 1; only the first `columns` of what it gives, if given."""
    _, channels, count = module.weight.shape
    dilation, padding = module.dilation[0], module.padding[0]
    weight = module.weight[:columns].permute(2, 1, 0)
    bias = None if module.bias is None else module.bias[:columns].float()
    if channels % 16 == 0:
        taps = Taps(channels, channels, dilation * channels, -padding * channels, count, channels)
        return Convolution(taps, _flat(weight, count * channels), bias)
    # So few channels that all taps are one stretch, filled up to what a product takes at once.
    depth = count * channels
    taps = Taps(channels, channels, 0, -padding * channels, 1, depth)
    filled = torch.nn.functional.pad(_flat(weight, depth), (0, 0, 0, -depth % 16))
    return Convolution(taps, filled, bias)


def _transposed(module: Any) -> Convolution:
    """A row of output is `stride` rows of sound: from the frame before it, and from its own."""
    channels, columns, _ = module.weight.shape
    stride = module.stride[0]
    # [channels, columns, (own or before), stride] to [(before, own), channels, stride, columns]
    weight = module.weight.view(channels, columns, 2, stride).flip(2).permute(2, 0, 3, 1)
    taps = Taps(channels, channels, channels, -channels, 2, channels)
    return Convolution(taps, _flat(weight, 2 * channels), module.bias.float().repeat(stride))


def _strided(module: Any) -> Convolution:
    """A row of output reads `2 * stride` rows of sound that lie one after the other."""
    _, channels, width = module.weight.shape
    stride, padding = module.stride[0], module.padding[0]
    taps = Taps(channels, stride * channels, 0, -padding * channels, 1, width * channels)
    return Convolution(taps, _flat(module.weight.permute(2, 1, 0), width * channels), module.bias.float())


def _flat(weight: Tensor, depth: int) -> Tensor:
    return weight.reshape(depth, -1).contiguous()


def _snake(module: Any) -> Snake:
    alpha, beta = module.alpha.float().flatten(), module.beta.float().flatten()
    return Snake((alpha.exp() / math.pi).contiguous(), (beta.exp() + 1e-9).reciprocal().contiguous())


def _repeated(snake: Snake, times: int) -> Snake:
    return Snake(snake.a.repeat(times), snake.inverse_b.repeat(times))


def _both(found: tuple[Tensor | None, Tensor | None]) -> tuple[Tensor, Tensor]:
    plain, active = found
    assert plain is not None
    assert active is not None
    return plain, active
