"""What may be done to a step of the diffusion besides following the velocity.

Source: spec dit.md 3.3, there called clamp, EMA, DCW and retake. All tensors are
`[1, frames, channels]` float32 of one song.
"""

import math

import torch
from torch import Tensor

from dit_service.engine import CorrectionMode, Diffusion, WaveletCorrection

FAINT = 1e-10
"""Added to norms, so that nothing divides by zero."""


class Tamed:
    """Velocities that are held to a share of the latents' norm, and to the direction of the step before.

    Remembers that direction: one object a render.
    """

    def __init__(self, diffusion: Diffusion) -> None:
        self._most = diffusion.velocity_norm_threshold
        self._kept = diffusion.velocity_ema_factor
        self._before: Tensor | None = None

    def first(self, latents: Tensor, velocity: Tensor) -> Tensor:
        """The velocity that a step begins with."""
        velocity = self._mixed(self._clamped(latents, velocity), self._before)
        self._before = velocity
        return velocity

    def average(self, predicted: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """The velocity of a step by Heun: `second` is the model's at `predicted`, where `first` leads."""
        second = self._mixed(self._clamped(predicted, second), first)
        average = 0.5 * (first + second)
        self._before = average
        return average

    def _clamped(self, latents: Tensor, velocity: Tensor) -> Tensor:
        if self._most <= 0:
            return velocity
        ratio = self._most * (latents.norm() + FAINT) / (velocity.norm() + FAINT)
        clamped: Tensor = velocity * ratio.clamp(max=1.0)
        return clamped

    def _mixed(self, velocity: Tensor, before: Tensor | None) -> Tensor:
        if self._kept <= 0 or before is None:
            return velocity
        return (1 - self._kept) * velocity + self._kept * before


def corrected(wanted: WaveletCorrection, latents: Tensor, music: Tensor, t: float) -> Tensor:
    """`latents` after a step from time `t`, moved away from the `music` that its velocity pointed at.

    Slow and fast changes over time are moved by themselves, as a wavelet splits them.
    """
    if wanted.mode is CorrectionMode.PIX:
        return latents + wanted.scaler * (latents - music)
    low, high = _haar(latents)
    music_low, music_high = _haar(music)
    if wanted.mode in (CorrectionMode.LOW, CorrectionMode.DOUBLE):
        low = low + t * wanted.scaler * (low - music_low)
    if wanted.mode is CorrectionMode.HIGH:
        high = high + (1 - t) * wanted.scaler * (high - music_high)
    if wanted.mode is CorrectionMode.DOUBLE:
        high = high + (1 - t) * wanted.high_scaler * (high - music_high)
    even, odd = (low + high) / math.sqrt(2), (low - high) / math.sqrt(2)
    return torch.stack((even, odd), dim=2).flatten(1, 2)[:, : latents.shape[1]]


def _haar(sequence: Tensor) -> tuple[Tensor, Tensor]:
    """Sums and differences of neighbouring frames, the last one with nothing if it has no neighbour."""
    padded = torch.nn.functional.pad(sequence, (0, 0, 0, sequence.shape[1] % 2))
    even, odd = padded[:, 0::2], padded[:, 1::2]
    return (even + odd) / math.sqrt(2), (even - odd) / math.sqrt(2)


def varied(noise: Tensor, other: Tensor, variance: float) -> Tensor:
    """Noise between `noise` (0) and `other` (1), as loud as both."""
    angle = variance * math.pi / 2
    return math.cos(angle) * noise + math.sin(angle) * other
