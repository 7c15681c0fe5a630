"""Turn noise into latents of music, step by step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from dit_service import flow, guidance
from dit_service.conditions import Conditions
from dit_service.engine import Diffusion, InferMethod
from dit_service.networks import DitNetworks
from dit_service.repaint import Surroundings


@dataclass(frozen=True, slots=True)
class Route:
    """What steers each step of a render, and when."""

    times: tuple[float, ...]
    """From noise strictly down to 0.0; one step between each two."""
    conditions: Conditions
    afterwards: Conditions
    """What steers from step `switch_step` on."""
    switch_step: int
    surroundings: Surroundings | None = None
    """What a repaint keeps."""

    def at(self, step: int) -> Conditions:
        return self.conditions if step < self.switch_step else self.afterwards

    @property
    def step_count(self) -> int:
        return len(self.times) - 1


def route(times: tuple[float, ...], conditions: Conditions, afterwards: Conditions, share: float) -> Route:
    """Steer by `conditions` for the first `share` of the steps (spec dit.md 2.9)."""
    return Route(times, conditions, afterwards, int((len(times) - 1) * share))


def denoise(
    networks: DitNetworks, route: Route, diffusion: Diffusion, noise: Tensor, fresh: Callable[[], Tensor]
) -> Iterator[Tensor]:
    """Yield the latents `[1, frames, channels]` float32 after each step; the last are music.

    `noise` has that shape, on the device; `fresh` draws more of it, for SDE steps to add.
    """
    velocity = Velocity(networks, diffusion)
    latents = noise
    for step, (now, later) in enumerate(pairwise(route.times)):
        towards = velocity(latents, now, route.at(step))
        if diffusion.infer_method is InferMethod.SDE and later > 0:
            latents = flow.sde_step(latents, towards, now, later, fresh())
        else:
            latents = flow.ode_step(latents, towards, now, later)
        if (kept := route.surroundings) is not None:
            latents = kept.hold(latents, noise, later) if step < kept.held_steps else latents
            latents = kept.join(latents) if later == 0 else latents
        yield latents


class Velocity:
    """The model's velocity, guided where the diffusion asks for it."""

    def __init__(self, networks: DitNetworks, diffusion: Diffusion) -> None:
        self._networks = networks
        self._diffusion = diffusion
        self._projected = guidance.ProjectedGuidance(diffusion.guidance_scale)

    def __call__(self, latents: Tensor, t: float, conditions: Conditions) -> Tensor:
        diffusion = self._diffusion
        if diffusion.guidance_scale <= 1 or not guidance.applies(
            t, diffusion.cfg_interval_start, diffusion.cfg_interval_end
        ):
            return predict(self._networks, latents, t, conditions.sequence, conditions.context)
        unasked = self._networks.conditioner.null_condition_emb.expand_as(conditions.sequence)
        both = predict(
            self._networks,
            latents.expand(2, -1, -1),
            t,
            torch.cat([conditions.sequence, unasked]),
            conditions.context.expand(2, -1, -1),
        )
        if diffusion.use_adg:
            return guidance.dual_guidance(latents, both[:1], both[1:], t, diffusion.guidance_scale)
        return self._projected(both[:1], both[1:])


def predict(networks: DitNetworks, latents: Tensor, t: float, sequence: Tensor, context: Tensor) -> Tensor:
    """One pass of the transformer: velocity `[batch, frames, channels]` float32 at time `t`."""
    times = torch.full((len(latents),), t, device=latents.device).to(networks.dtype)
    velocity: Tensor = networks.transformer(
        hidden_states=latents.to(networks.dtype),
        timestep=times,
        timestep_r=times,
        encoder_hidden_states=sequence,
        context_latents=context,
        return_dict=False,
    )[0]
    return velocity.float()
