"""How a repaint keeps what surrounds its regions while it is denoised.

Source: spec dit.md 3.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dit_service.canvas import soft_mask
from dit_service.engine import Keeping


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Latents that a render keeps outside its regions. Tensors are float32, on the device."""

    music: Tensor
    """What the source is, `[1, frames, channels]`."""
    inside: Tensor
    """Where the regions are, `[1, frames, 1]`."""
    weight: Tensor | None
    """How much of the render is left at its end, `[1, frames, 1]`; `None` for all."""
    held_steps: int
    """After so many first steps the surroundings are put back."""

    def hold(self, latents: Tensor, noise: Tensor, later: float) -> Tensor:
        """`latents` inside; outside, the source as noisy as a song is at time `later`."""
        return torch.where(self.inside, latents, later * noise + (1 - later) * self.music)

    def join(self, latents: Tensor) -> Tensor:
        """Finished `latents`, faded to the source's own away from the regions."""
        if self.weight is None:
            return latents
        return self.weight * latents + (1 - self.weight) * self.music


def surroundings(
    music: Tensor, spans: Sequence[slice], keeping: Keeping, step_count: int, is_turbo: bool
) -> Surroundings:
    """What a render of `step_count` steps keeps of `music`. The last step of turbo models is free."""
    frames, ramp = music.shape[1], keeping.latent_fade_frames
    held_steps = round(keeping.held_share * step_count)
    return Surroundings(
        music=music,
        inside=_mask(frames, spans, 0, music).bool(),
        weight=_mask(frames, spans, ramp, music) if ramp else None,
        held_steps=min(held_steps, step_count - 1) if is_turbo else held_steps,
    )


def _mask(frames: int, spans: Sequence[slice], ramp: int, like: Tensor) -> Tensor:
    return torch.from_numpy(soft_mask(frames, spans, ramp))[None, :, None].to(like)
