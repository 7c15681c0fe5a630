"""Figures of a run: percentiles by kind, goodput, errors by code; as a table, as JSON, and drawn."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

from bench.load.caller import OK, Outcome
from bench.load.schedule import Kind

mpl.use("Agg")
from matplotlib import pyplot as plt

PERCENTILES = (50, 90, 95, 99)
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of seconds, by their number; None of what never happened."""

    p: dict[int, float]

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread | None":
        if not seconds:
            return None
        return cls({at: float(np.percentile(seconds, at)) for at in PERCENTILES})


@dataclass(frozen=True, slots=True)
class Figures:
    """Of all requests of a kind, or of all together."""

    asked: int
    ok: int
    good: int
    """Those that were done in time."""
    latency: Spread | None
    first_event: Spread | None
    first_sound: Spread | None


@dataclass(frozen=True, slots=True)
class Summary:
    seconds: float
    """From the first arrival that counts to the last answer."""
    target_s: float
    offered_hz: float
    goodput_hz: float
    song_seconds_per_s: float
    """Seconds of song that arrived in time, per second."""
    mib_per_s: float
    begun_anew: int
    errors: dict[str, int]
    latest_start_s: float
    by_kind: dict[str, Figures]


def summarise(outcomes: Sequence[Outcome], warm_up_s: float, target_s: float) -> Summary:
    """Of those sent after the warm-up. In time: done within `target_s`.

    Raises `ValueError` if none was.
    """
    counted = [item for item in outcomes if item.ask.at_s >= warm_up_s]
    if not counted:
        raise ValueError(f"no request was sent after the warm-up of {warm_up_s:g} s")
    seconds = max(item.ask.at_s + item.done_s for item in counted) - warm_up_s
    good = [item for item in counted if _in_time(item, target_s)]
    kinds = sorted({item.ask.kind for item in counted}, key=[*Kind].index)
    by_kind = {
        kind.value: _figures([item for item in counted if item.ask.kind is kind], target_s)
        for kind in kinds
    }
    last_sent_s = max(item.ask.at_s for item in counted) - warm_up_s
    return Summary(
        seconds=seconds,
        target_s=target_s,
        offered_hz=len(counted) / last_sent_s if last_sent_s else float(len(counted)),
        goodput_hz=len(good) / seconds,
        song_seconds_per_s=sum(item.ask.song_s for item in good if item.ask.kind.makes_sound) / seconds,
        mib_per_s=sum(item.byte_count for item in counted) / MIB / seconds,
        begun_anew=sum(item.retried_count for item in counted),
        errors=dict(Counter(item.code for item in counted if item.code != OK)),
        latest_start_s=max(item.sent_late_s for item in counted),
        by_kind={**by_kind, "all": _figures(counted, target_s)},
    )


def _in_time(outcome: Outcome, target_s: float) -> bool:
    return outcome.code == OK and outcome.done_s <= target_s


def _figures(outcomes: Sequence[Outcome], target_s: float) -> Figures:
    ok = [item for item in outcomes if item.code == OK]
    return Figures(
        asked=len(outcomes),
        ok=len(ok),
        good=sum(_in_time(item, target_s) for item in ok),
        latency=Spread.of([item.done_s for item in ok]),
        first_event=Spread.of([item.first_event_s for item in ok if item.first_event_s is not None]),
        first_sound=Spread.of([item.first_sound_s for item in ok if item.first_sound_s is not None]),
    )


def table(summary: Summary) -> str:
    lines = [
        "| what | asked | done | in time | p50 | p90 | p95 | p99 | first event | sound p50, p95 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, item in summary.by_kind.items():
        latency = " | ".join(_second(item.latency, at) for at in PERCENTILES)
        sound = "none"
        if item.first_sound is not None:
            sound = f"{_second(item.first_sound, 50)}, {_second(item.first_sound, 95)}"
        lines.append(
            f"| {name} | {item.asked} | {item.ok} | {item.good} | {latency} |"
            f" {_second(item.first_event, 50)} | {sound} |"
        )
    errors = ", ".join(f"{count} {code}" for code, count in summary.errors.items()) or "none"
    lines.append(
        f"\nOffered {summary.offered_hz:.2f} requests/s; in time (within {summary.target_s:g} s)"
        f" {summary.goodput_hz:.2f} requests/s, {summary.song_seconds_per_s:.2f} s of song a second,"
        f" {summary.mib_per_s:.2f} MiB/s over {summary.seconds:.0f} s. Errors: {errors}."
        f" Parts begun anew: {summary.begun_anew}. The generator was late by at most"
        f" {summary.latest_start_s * 1000:.0f} ms."
    )
    return "\n".join(lines)


def _second(spread: Spread | None, at: int) -> str:
    return "none" if spread is None else f"{spread.p[at]:.2f}"


def write_json(path: Path, summary: Summary, outcomes: Sequence[Outcome], **others: object) -> None:
    """All that was measured, each request included."""
    content = {**others, "summary": asdict(summary), "requests": [asdict(item) for item in outcomes]}
    path.write_text(json.dumps(content, indent=1, default=str))


def draw(path: Path, outcomes: Sequence[Outcome], warm_up_s: float) -> None:
    """Latency over time, and its distribution; failures are crosses."""
    figure, (over_time, spread) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for kind in Kind:
        mine = [item for item in outcomes if item.ask.kind is kind]
        ok = [item for item in mine if item.code == OK]
        if not mine:
            continue
        dots = over_time.plot(
            [item.ask.at_s for item in ok], [item.done_s for item in ok], ".", label=kind.value
        )
        colour = dots[0].get_color()
        failed = [item for item in mine if item.code != OK]
        over_time.plot(
            [item.ask.at_s for item in failed], [item.done_s for item in failed], "x", color=colour
        )
        counted = sorted(item.done_s for item in ok if item.ask.at_s >= warm_up_s)
        if counted:
            spread.step(counted, np.arange(1, len(counted) + 1) / len(counted), color=colour)
    over_time.axvspan(0, warm_up_s, color="0.9")
    over_time.set(xlabel="sent, s", ylabel="until the last answer, s", ylim=(0, None))
    over_time.legend(fontsize="small")
    spread.set(xlabel="until the last answer, s", ylabel="share of requests", xlim=(0, None), ylim=(0, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)
