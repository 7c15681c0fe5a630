"""What travels with a request through vLLM, in `SamplingParams.extra_args`. Knows no vLLM."""

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from lm_service.engine import Task
from lm_service.outline import Outline, Phase
from lm_service.sampling import Sampling

KEY = "acestep"


class Role(StrEnum):
    """Which row of a request this is."""

    SINGLE = "single"
    CONDITIONAL = "conditional"
    UNCONDITIONAL = "unconditional"


def to_extra_args(task: Task) -> dict[str, Any]:
    """`task` as plain values, which survive the way to the engine's process."""
    return {KEY: asdict(task)}


def from_extra_args(extra_args: Mapping[str, Any]) -> Task:
    fields = dict(extra_args[KEY])
    outline = dict(fields["outline"])
    return Task(
        outline=Outline(
            phase=Phase(outline["phase"]),
            fixed=tuple((name, value) for name, value in outline["fixed"]),
            skipped=tuple(outline["skipped"]),
            code_count=outline["code_count"],
            constrained=outline["constrained"],
        ),
        sampling=Sampling(**fields["sampling"]),
        scale=fields["scale"],
        unconditional=tuple(fields["unconditional"]),
    )


def with_role(extra_args: Mapping[str, Any], role: Role, pair: str) -> dict[str, Any]:
    """The arguments of one row of the request `pair`. The row needs no second prompt any more."""
    return {KEY: {**extra_args[KEY], "unconditional": (), "role": role.value, "pair": pair}}


def role_of(extra_args: Mapping[str, Any]) -> tuple[Role, str]:
    """The row's role, and the request that it belongs to."""
    return Role(extra_args[KEY]["role"]), str(extra_args[KEY]["pair"])
