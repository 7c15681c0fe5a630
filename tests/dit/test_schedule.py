"""Which times a render visits."""

import pytest

from dit_service import schedule
from dit_service.flow import times
from tests.dit.golden import case
from tests.dit.replay_runs import diffusion_of


def test_a_missing_final_zero_is_added() -> None:
    golden = case("base_timesteps_no_zero")

    visited = times(diffusion_of(golden.facts["params"]), is_turbo=False)

    # The reference stops at 0.1 and leaves noise in the song (spec dit.md 3.2); we go on to 0.
    assert visited == pytest.approx((1.0, 0.9, 0.7, 0.5, 0.25, 0.1, 0.0))


@pytest.mark.parametrize("shift", [1.0, 2.0, 3.0])
def test_eight_turbo_steps_visit_the_published_times(shift: float) -> None:
    published = {
        1.0: [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125],
        2.0: [1.0, 0.93333333, 0.85714286, 0.76923077, 0.66666667, 0.54545455, 0.4, 0.22222222],
        3.0: [1.0, 0.95454545, 0.9, 0.83333333, 0.75, 0.64285714, 0.5, 0.3],
    }

    visited = times(diffusion_of({"infer_steps": 8, "shift": shift}), is_turbo=True)

    assert visited == pytest.approx((*published[shift], 0.0))


def test_turbo_takes_the_nearest_times_it_knows_each_once() -> None:
    given = (0.97, 0.96, 0.76, 0.615, 0.5, 0.395, 0.28, 0.18, 0.085)

    visited = schedule.turbo_schedule(given)

    assert visited == pytest.approx((0.95454545, 0.76923077, 0.625, 0.5, 0.4, 0.3, 0.22222222, 0.125, 0.0))
    assert schedule.turbo_schedule(visited) == visited
