"""The capacity model agrees with what can be known without it."""

from functools import partial

import numpy as np
import pytest

from bench.simulate.check import Song, compared
from bench.simulate.costs import (
    GRAPHS,
    LM_ROOM,
    Mix,
    after_s,
    dit_s,
    lm_step_s,
    lm_steps,
    songs_per_gpu_hour,
)
from bench.simulate.events import Batch, Clock, Line
from bench.simulate.farm import Size, needed, replay, simulate, smallest


def test_one_machine_with_random_jobs_waits_as_theory_says() -> None:
    draw, load = np.random.default_rng(1), 0.7
    clock, waits = Clock(), []
    line = Line(clock, machine_count=1)

    def arrive(seconds: float) -> None:
        came = clock.now_s
        line.work(seconds, lambda: waits.append(clock.now_s - came))

    for at_s, seconds in zip(
        np.cumsum(draw.exponential(1 / load, 100_000)), draw.exponential(1.0, 100_000), strict=True
    ):
        clock.after(float(at_s), lambda seconds=float(seconds): arrive(seconds))  # type: ignore[misc]
    clock.run()

    assert np.mean(waits) == pytest.approx(1 / (1 - load), rel=0.05)  # M/M/1
    assert line.busy_s / clock.now_s == pytest.approx(load, rel=0.02)


def test_jobs_in_a_batch_slow_each_other_down_and_those_without_room_wait() -> None:
    clock, ends = Clock(), dict[str, float]()
    batch = Batch(clock, step_s=lambda jobs: 1.0 + jobs, room=2)

    def ended(name: str) -> None:
        ends[name] = clock.now_s

    for name, steps in (("long", 10), ("short", 5), ("late", 1)):
        batch.work(steps, partial(ended, name))
    clock.run()

    # Two of them at 3 s a step; then "late" takes the room of "short"; then "long" alone at 2 s.
    assert ends == pytest.approx({"short": 15.0, "late": 18.0, "long": 26.0})


def test_a_song_alone_takes_what_it_costs() -> None:
    mix = Mix(lengths_s=(120.0,), weights=(1.0,))

    outcome = simulate(Size(1, 1), songs_per_s=0.001, mix=mix, diffusion=GRAPHS, song_count=40, seed=1)

    alone = lm_steps(120.0) * lm_step_s(1) + dit_s(120.0, GRAPHS) + after_s(120.0)
    assert outcome.percentile(50) == pytest.approx(alone)


def test_songs_wait_for_ever_longer_above_the_capacity_and_hardly_below_it() -> None:
    mix = Mix()
    most = min(songs_per_gpu_hour(mix, GRAPHS)) / 3600

    below, above = (simulate(Size(1, 1), share * most, mix, GRAPHS, 4000, 1) for share in (0.5, 1.2))

    assert below.percentile(95) < 10
    assert above.percentile(95) > 3 * below.percentile(95)
    assert below.dit_busy == pytest.approx(0.5, abs=0.06)
    assert below.lm_pairs < above.lm_pairs <= LM_ROOM


def test_what_is_needed_suffices_and_one_less_of_either_does_not() -> None:
    mix, hourly, target_s = Mix(), 60_000.0, 8.0

    size = needed(hourly, target_s, mix, GRAPHS)

    def p95(size: Size) -> float:
        return simulate(size, hourly / 3600, mix, GRAPHS, 3000, seed=1).percentile(95)

    assert p95(size) <= target_s
    for count, most in zip((size.lm, size.dit), songs_per_gpu_hour(mix, GRAPHS), strict=True):
        assert hourly / count / most <= 0.9  # a minute of simulation does not show a line that grows
    assert p95(Size(size.lm, size.dit - 1)) > target_s
    with pytest.raises(ValueError, match="idle machines"):
        needed(hourly, 0.5, mix, GRAPHS)


@pytest.mark.parametrize("answer", [1, 7, 20])
def test_the_smallest_count_is_found(answer: int) -> None:
    assert smallest(lambda count: count >= answer, 1, 20) == answer


def test_a_replay_adds_the_waiting_for_the_device_and_nothing_else() -> None:
    ends = replay([0.0, 1.0, 20.0], before_s=[1.0, 1.0, 1.0], dit_service_s=[5.0, 5.0, 5.0], dit_count=1)

    assert ends == [6.0, 11.0, 26.0]


def test_a_run_whose_songs_are_all_alike_is_predicted_exactly() -> None:
    arrivals = [float(at_s) for at_s in range(0, 100, 3)]
    ends = replay(arrivals, [1.0] * len(arrivals), [4.0] * len(arrivals), dit_count=1)
    songs = [
        Song("song", 10.0, at_s, end - at_s, dit_s=4.0, rest_s=1.0)
        for at_s, end in zip(arrivals, ends, strict=True)
    ]

    found = compared("a run", songs, warm_up_s=0.0)

    for at, seconds in found.measured_s.items():
        assert found.predicted_s[at][0] == pytest.approx(seconds)
    assert found.predicted_per_s == pytest.approx(found.measured_per_s)
