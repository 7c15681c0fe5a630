"""Classifier-free guidance: push a velocity away from what the model would do unasked.

Source: spec dit.md 3.4. Velocities are `[1, frames, channels]` float32 of one item, so norms
over time never see another item's frames or padding.
"""

import math

import torch
from torch import Tensor

MOMENTUM = -0.75
MAX_NORM = 2.5
MAX_ANGLE = 3.14 / 6
EPSILON = 1e-8


class ProjectedGuidance:
    """Adaptive projected guidance (APG). Remembers the direction it pushed in: one object a render."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._push: Tensor | None = None

    def __call__(self, asked: Tensor, unasked: Tensor) -> Tensor:
        difference = asked - unasked
        self._push = difference if self._push is None else difference + MOMENTUM * self._push
        norm = self._push.norm(dim=1, keepdim=True)
        push = (self._push * (MAX_NORM / norm).clamp(max=1.0)).double()
        along = torch.nn.functional.normalize(asked.double(), dim=1)
        across = push - (push * along).sum(dim=1, keepdim=True) * along
        guided: Tensor = asked + (self._scale - 1) * across.to(asked.dtype)
        return guided


def dual_guidance(latents: Tensor, asked: Tensor, unasked: Tensor, t: float, scale: float) -> Tensor:
    """Adaptive dual guidance (ADG): turn each frame's music, within a limit, instead of pushing it."""
    weight = max(scale - 1, 0.0) + 1e-3
    music, unasked_music = latents - t * asked, latents - t * unasked
    difference = music - unasked_music
    cosine = torch.nn.functional.cosine_similarity(music.double(), unasked_music.double(), dim=-1)
    angle = cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos()[..., None]
    turned = (weight * angle).clamp(-MAX_ANGLE, MAX_ANGLE)
    share = (difference * unasked_music).sum(-1, keepdim=True) / (
        (unasked_music * unasked_music).sum(-1, keepdim=True) + EPSILON
    )
    across = difference - share * unasked_music
    stretch = torch.where(angle.sin() > 1e-3, turned.sin() / angle.sin(), weight)
    goal = turned.cos() * music + across * stretch
    return ((latents - goal) / t).to(asked.dtype)


def plain_guidance(asked: Tensor, unasked: Tensor, scale: float) -> Tensor:
    """What guidance was at first (CFG)."""
    return unasked + scale * (asked - unasked)


def applies(t: float, start: float, end: float) -> bool:
    """Whether guidance is on at time `t`: the interval is on t itself, both ends included."""
    # Schedules are sums and quotients: a bound that was meant to be hit must not miss by a rounding.
    return (start <= t or math.isclose(start, t, abs_tol=1e-6)) and (
        t <= end or math.isclose(t, end, abs_tol=1e-6)
    )
