"""Songs through LM replicas and DiT replicas, by chance of their arrival."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil

import numpy as np

from bench.simulate.costs import (
    LM_ROOM,
    Diffusion,
    Mix,
    after_s,
    dit_s,
    lm_step_s,
    lm_steps,
    songs_per_gpu_hour,
)
from bench.simulate.events import Batch, Clock, Line

MOST_LOAD = 0.9
LEAST_SONGS = 3000
SIMULATED_S = 60.0


@dataclass(frozen=True, slots=True)
class Size:
    """How many GPUs of each kind."""

    lm: int
    dit: int


@dataclass(slots=True)
class Outcome:
    latencies_s: list[float] = field(default_factory=list)
    lm_pairs: float = 0.0
    """Songs that a language model writes at once, on average."""
    dit_busy: float = 0.0
    """Share of the time that the diffusion works."""

    def percentile(self, at: float) -> float:
        return float(np.percentile(self.latencies_s, at))


def simulate(
    size: Size, songs_per_s: float, mix: Mix, diffusion: Diffusion, song_count: int, seed: int
) -> Outcome:
    """Poisson arrivals; the first quarter of the songs finds an emptier system and does not count."""
    draw = np.random.default_rng(seed)
    clock, outcome = Clock(), Outcome()
    lms = [Batch(clock, lm_step_s, LM_ROOM) for _ in range(size.lm)]
    dits = Line(clock, size.dit)
    arrivals = np.cumsum(draw.exponential(1 / songs_per_s, song_count))
    lengths = draw.choice(mix.lengths_s, song_count, p=mix.weights)

    def arrive(place: int) -> None:
        least = min(lms, key=lambda lm: lm.load)
        least.work(lm_steps(lengths[place]), partial(written, place))

    def written(place: int) -> None:
        dits.work(dit_s(lengths[place], diffusion), partial(rendered, place))

    def rendered(place: int) -> None:
        if place >= song_count // 4:
            outcome.latencies_s.append(clock.now_s - arrivals[place] + after_s(lengths[place]))

    for place in range(song_count):
        clock.after(float(arrivals[place]), partial(arrive, place))
    clock.run()
    outcome.lm_pairs = sum(lm.job_s for lm in lms) / size.lm / clock.now_s
    outcome.dit_busy = dits.busy_s / size.dit / clock.now_s
    return outcome


def smallest(fits: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest count that fits, where every larger one fits too."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return low


def needed(songs_per_hour: float, p95_s: float, mix: Mix, diffusion: Diffusion) -> Size:
    """The fewest GPUs, none loaded above `MOST_LOAD`, by which 95 of 100 songs are done within `p95_s`.

    A minute is simulated, in which a line that grows for ever may still look short: hence the bound.
    Raises `ValueError` if not even idle machines are so quick.
    """
    rate = songs_per_hour / 3600
    song_count = int(max(LEAST_SONGS, SIMULATED_S * rate))
    plenty = max(4, int(songs_per_hour / 5000))

    def fits(size: Size) -> bool:
        return simulate(size, rate, mix, diffusion, song_count, seed=1).percentile(95) <= p95_s

    if not fits(Size(plenty, plenty)):
        raise ValueError(f"songs take longer than {p95_s:g} s on idle machines")
    lm_least, dit_least = (
        ceil(songs_per_hour / MOST_LOAD / hourly) for hourly in songs_per_gpu_hour(mix, diffusion)
    )
    least = smallest(lambda count: fits(Size(count, plenty)), lm_least, plenty)
    found = []
    for lm in {least, least + 1, round(least * 1.1)}:  # one more here can save several there
        dit = smallest(lambda count, lm=lm: fits(Size(lm, count)), dit_least, plenty)  # type: ignore[misc]
        found.append(Size(lm, dit))
    return min(found, key=lambda size: (size.lm + size.dit, size.lm))


def replay(
    arrivals_s: Sequence[float], before_s: Sequence[float], dit_service_s: Sequence[float], dit_count: int
) -> list[float]:
    """When songs end: each reaches the diffusion `before_s` after its arrival, and takes it so long."""
    clock = Clock()
    dits = Line(clock, dit_count)
    ends = [0.0] * len(arrivals_s)

    def reached(place: int) -> None:
        dits.work(dit_service_s[place], partial(ended, place))

    def ended(place: int) -> None:
        ends[place] = clock.now_s

    for place, at_s in enumerate(arrivals_s):
        clock.after(at_s + before_s[place], partial(reached, place))
    clock.run()
    return ends
