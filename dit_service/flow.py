"""Flow matching: which times a render visits, and how it moves between them.

At t = 1 latents are noise, at t = 0 music; the model predicts v = noise - music.
Latents are float32 whatever the networks compute in.
Source: spec dit.md 3.1 and 3.2 (times), 3.3 (steps), 3.5 (noise), 10.3 and 10.4.
"""

import torch
from torch import Tensor

from dit_service.engine import Diffusion
from dit_service.schedule import listed_times


def times(diffusion: Diffusion, is_turbo: bool) -> tuple[float, ...]:
    """The times that `diffusion` visits, strictly down to 0.0; each is a step but the last.

    A `shift` above 1 spends more of the steps near noise: `shift * t / (1 + (shift - 1) * t)`.
    """
    if diffusion.timesteps:
        return listed_times(diffusion.timesteps, is_turbo)
    steps, shift = diffusion.inference_steps, diffusion.shift
    # Rounded as each family's own code rounds: guidance makes the difference ten times larger.
    kind = torch.float64 if is_turbo else torch.float32
    even = torch.linspace(1, 0, steps + 1, dtype=kind)
    return tuple((shift * even / (1 + (shift - 1) * even)).tolist())


def noise(frames: int, channels: int, generator: torch.Generator) -> Tensor:
    """`[1, frames, channels]` float32 on the CPU, where a seed means the same on every machine."""
    return torch.randn(1, frames, channels, generator=generator)


def noisy(music: Tensor, noise: Tensor, t: float) -> Tensor:
    """`music` as noisy as it is at time `t`; all tensors `[1, frames, channels]`."""
    return t * noise + (1 - t) * music


def from_noise_level(times: tuple[float, ...], level: float) -> tuple[float, ...]:
    """The rest of `times` from the one nearest to `level` on; the last, 0.0, is none to begin at."""
    nearest = min(range(len(times) - 1), key=lambda place: abs(times[place] - level))
    return times[nearest:]


def ode_step(latents: Tensor, velocity: Tensor, now: float, later: float) -> Tensor:
    """Follow `velocity` from time `now` to `later`; all tensors `[1, frames, channels]`."""
    return latents - velocity * (now - later)


def sde_step(latents: Tensor, velocity: Tensor, now: float, later: float, fresh: Tensor) -> Tensor:
    """Go to the music that `velocity` points at, and back to time `later` with `fresh` noise."""
    music = latents - now * velocity
    return later * fresh + (1 - later) * music
