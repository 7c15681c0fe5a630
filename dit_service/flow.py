"""Flow matching: how a render moves between the times it visits.

At t = 1 latents are noise, at t = 0 music; the model predicts v = noise - music.
Latents are float32 whatever the networks compute in.
Source: spec dit.md 3.3 (steps), 3.5 (noise), 10.3 and 10.4.
"""

import torch
from torch import Tensor


def noise(frames: int, channels: int, generator: torch.Generator) -> Tensor:
    """`[1, frames, channels]` float32 on the CPU, where a seed means the same on every machine."""
    return torch.randn(1, frames, channels, generator=generator)


def ode_step(latents: Tensor, velocity: Tensor, now: float, later: float) -> Tensor:
    """Follow `velocity` from time `now` to `later`; all tensors `[1, frames, channels]`."""
    return latents - velocity * (now - later)


def sde_step(latents: Tensor, velocity: Tensor, now: float, later: float, fresh: Tensor) -> Tensor:
    """Go to the music that `velocity` points at, and back to time `later` with `fresh` noise."""
    music = latents - now * velocity
    return later * fresh + (1 - later) * music
