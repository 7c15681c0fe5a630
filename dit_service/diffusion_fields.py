"""Check how a request wants its diffusion to run, by the model that it wants."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from acestep.music.v1 import music_pb2
from common.fields import FieldChecker
from dit_service import sampler_fields
from dit_service.defaults import limits
from dit_service.engine import Diffusion, InferMethod, ModelCard
from dit_service.schedule import listed_times

INFER_METHODS = {
    music_pb2.INFER_METHOD_UNSPECIFIED: InferMethod.ODE,
    music_pb2.INFER_METHOD_ODE: InferMethod.ODE,
    music_pb2.INFER_METHOD_SDE: InferMethod.SDE,
}


def check_diffusion(
    check: FieldChecker, field: str, message: music_pb2.DiffusionParams, card: ModelCard
) -> tuple[Diffusion, tuple[str, ...]]:
    """The parameters in use, complete, and what may surprise about them."""
    most, times, count = limits(card).max_inference_steps, f"{field}.timesteps", len(message.timesteps)
    if count > most + 1:  # before any is looked at: there may be millions
        check.refuse(times, f"must have 1 to {most} times above 0", f"{count} times")
    given = _given(message, limits(card).defaults, () if count > most + 1 else message.timesteps)
    given = replace(given, **sampler_fields.sampler(check, field, message, given.infer_method))
    check.integer(f"{field}.inference_steps", given.inference_steps, 1, most)
    check.within(f"{field}.shift", given.shift, 1, 5)
    _check_guidance(check, field, given, card.is_turbo)
    if message.infer_method not in INFER_METHODS:
        check.refuse(f"{field}.infer_method", "must be a known InferMethod", message.infer_method)
    if not given.timesteps or not _check_times(check, times, given.timesteps, most):
        return given, ()
    visited = listed_times(given.timesteps, card.is_turbo)
    moved = set(visited) - {0.0} != set(given.timesteps) - {0.0}
    warning = "the times were moved to the nearest that the model knows; see diffusion.timesteps"
    effective = replace(given, timesteps=visited, inference_steps=len(visited) - 1)
    return effective, (warning,) if moved else ()


def _given(
    message: music_pb2.DiffusionParams, defaults: Diffusion, timesteps: Sequence[float]
) -> Diffusion:
    """What the request says, over what the model does by itself. Not checked yet."""
    names = (
        "inference_steps",
        "guidance_scale",
        "use_adg",
        "cfg_interval_start",
        "cfg_interval_end",
        "shift",
    )
    said = {name: getattr(message, name) for name in names if message.HasField(name)}
    return replace(
        defaults,
        **said,
        infer_method=INFER_METHODS.get(message.infer_method, defaults.infer_method),
        timesteps=tuple(timesteps),
    )


def _check_guidance(check: FieldChecker, field: str, given: Diffusion, is_turbo: bool) -> None:
    scale, start, end = given.guidance_scale, given.cfg_interval_start, given.cfg_interval_end
    if is_turbo and scale != 1:
        rule = "must be 1: turbo models are distilled without guidance"
        check.refuse(f"{field}.guidance_scale", rule, f"{scale:g}")
    elif not is_turbo:
        check.within(f"{field}.guidance_scale", scale, 1, 15)
    if is_turbo and given.use_adg:
        check.refuse(
            f"{field}.use_adg", "must be false: turbo models are distilled without guidance", "true"
        )
    check.within(f"{field}.cfg_interval_start", start, 0, 1)
    check.within(f"{field}.cfg_interval_end", end, 0, 1)
    if start > end:
        check.refuse(
            f"{field}.cfg_interval_start", f"must be at most cfg_interval_end, {end:g}", f"{start:g}"
        )


def _check_times(check: FieldChecker, field: str, listed: Sequence[float], most: int) -> bool:
    """Whether the list is a way from noise to music."""
    shown = ", ".join(f"{t:g}" for t in listed[:10])
    step_count = sum(t > 0 for t in listed)
    if not all(math.isfinite(t) and 0 <= t <= 1 for t in listed):
        check.refuse(field, "must be within [0, 1]", shown)
    elif any(later >= now for now, later in pairwise(listed)):
        check.refuse(field, "must be strictly decreasing", shown)
    elif not 1 <= step_count <= most:
        check.refuse(field, f"must have 1 to {most} times above 0", f"{step_count} times")
    else:
        return True
    return False
