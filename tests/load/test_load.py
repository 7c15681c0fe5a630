"""The load generator asks what its seed says, when it says, and hides nothing."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.load.__main__ import main, parsed
from bench.load.caller import OK, Caller, Outcome, ask_all
from bench.load.report import summarise
from bench.load.schedule import DEFAULT_MIX, Ask, Kind, parse_mix, poisson
from bench.load.watch import Watched, keep_results, processes, watching
from bench.memory import Series, open_file_count
from common.errors import AceError
from common.errors import Kind as Failure
from tests.gateway.conftest import World, opened_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path) as opened:
        yield opened


def test_the_same_seed_asks_the_same_and_another_one_does_not() -> None:
    first, again, other = (poisson(2.0, 60.0, DEFAULT_MIX, [10.0, 30.0], seed) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_arrivals_come_at_their_rate_and_kinds_by_their_weights() -> None:
    asks = poisson(5.0, 2000.0, {Kind.SONG: 3.0, Kind.FORMAT: 1.0}, [10.0], seed=3)

    assert len(asks) == pytest.approx(10_000, rel=0.04)  # four standard deviations
    assert sum(ask.kind is Kind.SONG for ask in asks) / len(asks) == pytest.approx(0.75, abs=0.02)
    gaps = [later.at_s - earlier.at_s for earlier, later in pairwise(asks)]
    assert sum(gap > 0.2 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.02)  # exp(-1)


@pytest.mark.parametrize("text", ["dance=1", "song", "song=much"])
def test_a_mix_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"dance|could not convert|much"):
        parse_mix(text)


async def test_a_slow_system_is_asked_no_less_and_waits_count_from_the_due_moment(world: World) -> None:
    asks = [Ask(0.0, Kind.THINKING, 10.0, seed) for seed in range(3)]
    due = time.monotonic() - 5.0  # nobody could send it then

    outcome = await Caller(world.client, 60.0, live=False).ask(asks[0], due)
    world.lm.gate.close()
    waiting = ask_all(Caller(world.client, 0.5, live=False), asks)

    assert outcome.done_s > outcome.sent_late_s >= 5.0
    assert {item.code for item in await waiting} == {"DEADLINE_EXCEEDED DEADLINE_EXCEEDED"}
    assert len(world.lm.requests) >= 3


async def test_every_kind_of_request_is_followed_to_its_end(world: World) -> None:
    asks = [Ask(0.0, kind, 10.0, 1) for kind in Kind if kind is not Kind.COVER]

    outcomes = await ask_all(Caller(world.client, 60.0, live=False), asks)

    assert [item.code for item in outcomes] == [OK] * len(asks)
    assert all(
        (item.first_sound_s is not None) == item.ask.kind.makes_sound and item.byte_count
        for item in outcomes
    )
    assert {"lm_phase2", "diffusion", "encoding"} <= outcomes[1].timings.keys()


async def test_failures_are_counted_by_their_code_and_are_not_good(world: World) -> None:
    world.lm.failure = AceError(Failure.OVERLOADED, "QUEUE_FULL", "full")
    asks = [Ask(0.0, Kind.FORMAT, 10.0, 1), Ask(0.0, Kind.SONG, 10.0, 1)]

    summary = summarise(await ask_all(Caller(world.client, 60.0, live=False), asks), 0.0, 30.0)

    assert summary.errors == {"RESOURCE_EXHAUSTED QUEUE_FULL": 1}
    assert summary.by_kind["all"].asked == 2
    assert summary.by_kind["all"].ok == summary.by_kind["song"].good == 1


def test_what_is_done_too_late_or_sent_in_the_warm_up_is_not_good() -> None:
    outcomes = [
        Outcome(Ask(at_s, Kind.SONG, 10.0, 1), done_s=done_s)
        for at_s, done_s in ((1.0, 1.0), (11.0, 2.0), (12.0, 99.0))
    ]

    summary = summarise(outcomes, warm_up_s=10.0, target_s=30.0)

    assert (summary.by_kind["song"].asked, summary.by_kind["song"].good) == (2, 1)
    assert summary.goodput_hz == pytest.approx(1 / 101)
    assert summary.by_kind["song"].latency is not None
    assert summary.by_kind["song"].latency.p[50] == pytest.approx(50.5)


def test_a_run_leaves_its_figures_and_its_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = [
        "--address",
        "localhost:1",
        "--rate",
        "20",
        "--seconds",
        "1",
        "--warm-up",
        "0",
        "--mix",
        "song=1",
    ]

    assert main(parsed([*nobody, "--out", str(tmp_path)])) == 0

    assert "UNAVAILABLE" in capsys.readouterr().out
    assert '"UNAVAILABLE UNAVAILABLE"' in (tmp_path / "load.json").read_text()
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")


def test_a_soak_tells_a_leak_from_songs_that_come_and_go() -> None:
    draw = np.random.default_rng(1)
    noisy, leaking = (Series(name, pid=1) for name in ("noisy", "leaking"))
    files = Series("noisy", 1, open_file_count, "files", [(minute, 17.0) for minute in range(60)])
    for minute in range(60):
        noisy.samples.append((minute, 1200 + 300 * draw.random()))
        leaking.samples.append((minute, 1200 + 300 * draw.random() + 15 * minute))

    assert Watched(noisy, files).broken() == ""
    assert "leaking grew from" in Watched(leaking, files).broken()


def test_results_that_the_gateway_keeps_are_no_leak_and_what_grows_beside_them_is() -> None:
    # A song of 10 MiB each minute of the second half, each kept for five minutes.
    songs = [
        Outcome(Ask(60.0 * minute, Kind.SONG, 10.0, seed=minute), done_s=0.5, byte_count=10 << 20)
        for minute in range(30, 60)
    ]
    files = Series("gateway", 1, open_file_count, "files", [(minute, 17.0) for minute in range(60)])
    for leak_mib, told in ((0.0, ""), (2.0, "gateway grew from")):
        memory = [(float(minute), 100.0 + 50 * (minute >= 35) + leak_mib * minute) for minute in range(60)]
        watched = Watched(Series("gateway", 1, samples=memory), files)

        keep_results(watched, songs, began_s=0.0)

        assert max(watched.kept_mib) == 50.0
        assert watched.broken().startswith(told)
        assert bool(watched.broken()) == bool(told)


async def test_memory_and_files_of_a_process_are_followed_while_it_works() -> None:
    watched = processes({"this one": os.getpid()})

    async with watching(watched, every_s=0.01):
        while len(watched[0].files.samples) < 5:
            await asyncio.sleep(0.01)

    assert watched[0].memory.samples[0][1] > 10
    assert watched[0].files.samples[0][1] >= 3
