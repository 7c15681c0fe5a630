"""The model held against a run of `bench.load`: the same arrivals, and what songs were measured to take."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.load.schedule import Kind
from bench.simulate.farm import replay

DRAWS = 50
PERCENTILES = (50, 90, 95)


@dataclass(frozen=True, slots=True)
class Song:
    """One measured song."""

    kind: str
    song_s: float
    at_s: float
    done_s: float
    dit_s: float
    """Of the device, its queue not included."""
    rest_s: float
    """Language model, gateway, wire: all that is no wait for the diffusion."""


@dataclass(frozen=True, slots=True)
class Comparison:
    run: str
    """Which run it was, in words."""
    songs: int
    measured_s: dict[int, float]
    predicted_s: dict[int, tuple[float, float, float]]
    """Median of the draws, and the range that 90 of 100 draws are in."""
    measured_per_s: float
    predicted_per_s: float
    busy: float
    """Share of the time that the diffusion worked, as measured."""


def measured(path: Path) -> tuple[str, list[Song]]:
    """Which run it was, and the songs that it made."""
    content = json.loads(path.read_text())
    options, songs = content["options"], []
    run = f"{options['seconds'] / 60:.0f} minutes, {options['rate']:g} requests a second"
    for item in content["requests"]:
        ask, timings = item["ask"], item["timings"]
        if item["code"] != "OK" or not Kind(ask["kind"]).makes_sound:
            continue
        dit_s = sum(timings.get(phase, 0.0) for phase in ("conditioning", "diffusion", "decoding"))
        rest_s = max(0.0, item["done_s"] - dit_s - timings.get("dit_queue", 0.0))
        songs.append(Song(ask["kind"], ask["song_s"], ask["at_s"], item["done_s"], dit_s, rest_s))
    return run, sorted(songs, key=lambda song: song.at_s)


def compared(run: str, songs: list[Song], warm_up_s: float) -> Comparison:
    """Predict waits from arrivals and from costs of songs of the same kind and length, drawn at random."""
    alike: defaultdict[tuple[str, float], list[Song]] = defaultdict(list)
    for song in songs:
        alike[song.kind, song.song_s].append(song)
    draw, runs, ends_s = np.random.default_rng(1), list[list[float]](), list[float]()
    arrivals = [song.at_s for song in songs]
    counted = [place for place, at_s in enumerate(arrivals) if at_s >= warm_up_s]
    for _ in range(DRAWS):
        drawn = [alike[song.kind, song.song_s] for song in songs]
        costs = [group[draw.integers(len(group))] for group in drawn]
        rest = [item.rest_s for item in costs]
        ends = replay(arrivals, rest, [item.dit_s for item in costs], dit_count=1)
        runs.append([ends[place] - arrivals[place] for place in counted])
        ends_s.append(max(ends))
    of_runs = {at: [float(np.percentile(one, at)) for one in runs] for at in PERCENTILES}
    seconds = max(songs[place].at_s + songs[place].done_s for place in counted)
    return Comparison(
        run=run,
        songs=len(counted),
        measured_s={at: float(np.percentile([songs[p].done_s for p in counted], at)) for at in PERCENTILES},
        predicted_s={at: _spread(values) for at, values in of_runs.items()},
        measured_per_s=len(songs) / seconds,
        predicted_per_s=len(songs) / float(np.median(ends_s)),
        busy=sum(song.dit_s for song in songs) / seconds,
    )


def _spread(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, (5, 50, 95))
    return float(middle), float(low), float(high)


def table(comparison: Comparison) -> str:
    lines = [
        f"| {comparison.run}: {comparison.songs} songs | measured | predicted | 90 of 100 predictions |",
        "| --- | ---: | ---: | ---: |",
    ]
    for at, seconds in comparison.measured_s.items():
        middle, low, high = comparison.predicted_s[at]
        lines.append(f"| p{at} | {seconds:.1f} s | {middle:.1f} s | {low:.1f} to {high:.1f} s |")
    rates = f"{comparison.measured_per_s:.3f} | {comparison.predicted_per_s:.3f}"
    lines.append(f"| songs per second | {rates} | |")
    lines.append(f"| share of the time that the diffusion worked | {comparison.busy:.2f} | | |")
    return "\n".join(lines)
