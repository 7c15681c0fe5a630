"""Turn noise into latents of music, step by step."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from dit_service import flow, guidance, sampler
from dit_service.conditions import Conditions
from dit_service.engine import Diffusion, InferMethod, SamplerMode
from dit_service.network.block import Heard
from dit_service.network.transformer import Row
from dit_service.networks import DitNetworks
from dit_service.passes import Pass
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
    start: Tensor | None = None
    """Music to begin from, as noisy as it is at the first time; None for noise alone."""

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
) -> Iterator[Pass | Tensor]:
    """For each step, yield the pass that it needs, then the latents after it; the last are music.

    Latents are `[1, frames, channels]` float32. `noise` has that shape, on the device; `fresh`
    draws more of it, for SDE steps to add.
    """
    velocity, tamed = Velocity(networks, route, diffusion), sampler.Tamed(diffusion)
    latents = noise if route.start is None else flow.noisy(route.start, noise, route.times[0])
    for step, (now, later) in enumerate(pairwise(route.times)):
        before, towards = latents, tamed.first(latents, (yield from velocity(latents, step)))
        if diffusion.infer_method is InferMethod.SDE and later > 0:
            latents = flow.sde_step(latents, towards, now, later, fresh())
        else:
            latents = flow.ode_step(latents, towards, now, later)
            # The last step of turbo models goes straight to the music.
            if diffusion.sampler_mode is SamplerMode.HEUN and (later > 0 or not networks.is_turbo):
                again = yield from velocity(latents, step, at_its_end=True)
                latents = flow.ode_step(before, tamed.average(latents, towards, again), now, later)
        if diffusion.correction is not None:
            music = flow.ode_step(before, towards, now, 0.0)
            latents = sampler.corrected(diffusion.correction, latents, music, now)
        if (kept := route.surroundings) is not None:
            latents = kept.hold(latents, noise, later) if step < kept.held_steps else latents
            latents = kept.join(latents) if later == 0 else latents
        yield latents


class Velocity:
    """The model's velocity along a route, guided where the diffusion asks for it."""

    def __init__(self, networks: DitNetworks, route: Route, diffusion: Diffusion) -> None:
        self._transformer = networks.transformer
        self._route = route
        self._diffusion = diffusion
        self._projected = guidance.ProjectedGuidance(diffusion.guidance_scale)
        self._moments = networks.transformer.moments(route.times)
        self._heard: tuple[Conditions, Heard] | None = None
        self._last: Pass | None = None

    def __call__(
        self, latents: Tensor, step: int, at_its_end: bool = False
    ) -> Generator[Pass, None, Tensor]:
        """Yield the pass that is needed, and return the velocity `[1, frames, channels]`.

        At the end of a step guidance is the plain one, which remembers nothing (spec dit.md 3.3).
        """
        diffusion, t = self._diffusion, self._route.times[step + at_its_end]
        asked = self._row(latents, step, step + at_its_end)
        if diffusion.guidance_scale <= 1 or not guidance.applies(
            t, diffusion.cfg_interval_start, diffusion.cfg_interval_end
        ):
            (velocity,) = yield from self._passed(asked)
            return velocity
        towards, unasked = yield from self._passed(asked, replace(asked, heard=None))
        if diffusion.use_adg and t > 0:
            return guidance.dual_guidance(latents, towards, unasked, t, diffusion.guidance_scale)
        if at_its_end:
            return guidance.plain_guidance(towards, unasked, diffusion.guidance_scale)
        return self._projected(towards, unasked)

    def _passed(self, *rows: Row) -> Generator[Pass, None, list[Tensor]]:
        self._last = due = Pass(self._transformer, rows, self._last)
        yield due
        return due.velocities()

    def _row(self, latents: Tensor, step: int, moment: int) -> Row:
        conditions = self._route.at(step)
        frames = torch.cat([conditions.context[0], latents[0].to(conditions.context.dtype)], dim=-1)
        return Row(frames, self._moments[moment], self._hears(conditions))

    def _hears(self, conditions: Conditions) -> Heard:
        """Computed once for all steps that the same conditions steer."""
        if self._heard is None or self._heard[0] is not conditions:
            self._heard = None  # before the next takes its memory
            self._heard = conditions, self._transformer.heard(conditions.sequence[0])
        return self._heard[1]
