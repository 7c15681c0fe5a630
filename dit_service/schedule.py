"""Lists of times that a request may give, from noise (at most 1.0) down to music (0.0).

Source: spec dit.md 3.1 (turbo) and 3.2 (others).
"""

from collections.abc import Sequence

MAX_TURBO_STEPS = 20
MAX_STEPS = 200

TURBO_TIMES = (
    *(1.0, 0.9545454545454546, 0.9333333333333333, 0.9, 0.875, 0.8571428571428571, 0.8333333333333334),
    *(0.7692307692307693, 0.75, 0.6666666666666666, 0.6428571428571429, 0.625, 0.5454545454545454, 0.5),
    *(0.4, 0.375, 0.3, 0.25, 0.2222222222222222, 0.125),
)
"""The times that turbo models were distilled at, over the shifts 1, 2 and 3."""


def custom_schedule(times: Sequence[float]) -> tuple[float, ...]:
    """`times`, ending in exactly one 0.0."""
    return (*(t for t in times if t > 0), 0.0)


def turbo_schedule(times: Sequence[float]) -> tuple[float, ...]:
    """`times`, each moved to the nearest that turbo models know, ending in 0.0.

    Two that move to the same one become one: the step between them would change nothing.
    """
    nearest = (min(TURBO_TIMES, key=lambda known, t=t: abs(known - t)) for t in times if t > 0)  # type: ignore[misc]
    return (*dict.fromkeys(nearest), 0.0)


def listed_times(times: Sequence[float], is_turbo: bool) -> tuple[float, ...]:
    """The times that a render visits which was given a list: strictly down to 0.0."""
    return turbo_schedule(times) if is_turbo else custom_schedule(times)
