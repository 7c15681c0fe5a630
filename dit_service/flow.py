"""Flow matching: which times a render visits, and how it moves between them.

At t = 1 latents are noise, at t = 0 music; the model predicts v = noise - music.
Times and latents are float32 whatever the networks compute in.
Source: spec dit.md 3.1 (turbo), 3.2 (others), 3.3 (steps), 3.5 (noise), 10.3 and 10.4.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

MAX_TURBO_STEPS = 20
MAX_STEPS = 200

TURBO_TIMES = (
    *(1.0, 0.9545454545454546, 0.9333333333333333, 0.9, 0.875, 0.8571428571428571, 0.8333333333333334),
    *(0.7692307692307693, 0.75, 0.6666666666666666, 0.6428571428571429, 0.625, 0.5454545454545454, 0.5),
    *(0.4, 0.375, 0.3, 0.25, 0.2222222222222222, 0.125),
)
"""The times that turbo models were distilled at, over the shifts 1, 2 and 3."""


def schedule(step_count: int, shift: float) -> tuple[float, ...]:
    """The times of a render, from 1.0 strictly down to 0.0: `step_count + 1` of them.

    A `shift` above 1 spends more of the steps near noise: `shift * t / (1 + (shift - 1) * t)`.
    """
    even = (1 - step / step_count for step in range(step_count + 1))
    return tuple(shift * t / (1 + (shift - 1) * t) for t in even)


def custom_schedule(times: Sequence[float]) -> tuple[float, ...]:
    """`times`, ending in exactly one 0.0."""
    return (*(t for t in times if t > 0), 0.0)


def turbo_schedule(times: Sequence[float]) -> tuple[float, ...]:
    """`times`, each moved to the nearest that turbo models know, ending in 0.0.

    Two that move to the same one become one: the step between them would change nothing.
    """
    nearest = (min(TURBO_TIMES, key=lambda known, t=t: abs(known - t)) for t in times if t > 0)  # type: ignore[misc]
    return (*dict.fromkeys(nearest), 0.0)


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
