"""What a model does where a request says nothing, and how far a request may go.

Source: spec dit.md 1.3 (recommended sampling) and 5.7.
"""

from dataclasses import dataclass, replace

from dit_service.engine import Diffusion, InferMethod, ModelCard
from dit_service.schedule import MAX_STEPS, MAX_TURBO_STEPS


@dataclass(frozen=True, slots=True)
class Limits:
    defaults: Diffusion
    max_inference_steps: int


FAMILY = Diffusion(
    inference_steps=50,
    guidance_scale=7.0,
    use_adg=False,
    cfg_interval_start=0.0,
    cfg_interval_end=1.0,
    shift=1.0,
    infer_method=InferMethod.ODE,
)
TURBO = Limits(replace(FAMILY, inference_steps=8, guidance_scale=1.0, shift=3.0), MAX_TURBO_STEPS)
OTHERS = Limits(FAMILY, MAX_STEPS)


def limits(card: ModelCard) -> Limits:
    return TURBO if card.is_turbo else OTHERS
