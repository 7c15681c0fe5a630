"""What is promised when something fails, held against processes. All faults: `python -m bench.faults`."""

from pathlib import Path

import pytest

from bench.faults import callers, machine, network, processes
from bench.faults.__main__ import MEASURED, NAMES, ON_ONE_HOST, WITH_REAL, WITH_REAL_ENGINES, write
from bench.faults.farm import Farm
from bench.faults.finding import Finding, NotHere
from bench.faults.network import net
from tests.faults.conftest import port_block


def kept(finding: Finding) -> bool:
    assert finding.kept, finding
    return True


@pytest.mark.parametrize("stage", ["lm", "dit"])
async def test_a_replica_that_is_killed_costs_no_song(running: Farm, stage: str) -> None:
    assert kept(await processes.replica_killed(running, stage))


async def test_a_killed_gateway_frees_the_stages_and_asked_again_the_same_song_comes(
    running: Farm,
) -> None:
    assert kept(await processes.gateway_killed(running))


async def test_a_replica_that_stands_still_delays_its_song_and_no_other(running: Farm) -> None:
    assert kept(await processes.replica_paused(running, "dit", pause_s=3.0))


async def test_a_gateway_that_stands_still_loses_nothing(running: Farm) -> None:
    assert kept(await processes.gateway_paused(running, pause_s=2.0))


async def test_an_idle_replica_that_stands_still_is_given_up_for_songs_to_come(running: Farm) -> None:
    assert kept(await processes.idle_replica_paused(running, song_count=2))


async def test_malformed_frames_harm_nobody_else(running: Farm) -> None:
    assert kept(await callers.malformed_frames(running))


async def test_a_song_survives_a_short_cut_of_the_network(tmp_path: Path) -> None:
    try:
        async with net(tmp_path, port_block()) as apart:
            finding = await network.short_cut(apart, cut_s=1.0)
    except NotHere as reason:
        pytest.skip(str(reason))
    assert kept(finding)


async def test_a_full_disk_refuses_uploads_whole_and_stops_no_song(tmp_path: Path) -> None:
    try:
        finding = await machine.full_disk(tmp_path, port_block())
    except NotHere as error:
        pytest.skip(str(error))
    assert kept(finding)


async def test_clocks_that_jump_change_no_deadline(tmp_path: Path) -> None:
    try:
        finding = await machine.clock_jumps(tmp_path, port_block())
    except NotHere as error:
        pytest.skip(str(error))
    assert kept(finding)


def test_the_table_replaces_what_was_measured_before_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "above\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nbelow\n"
    page.write_text(text)

    write(page, "new", MEASURED)

    assert page.read_text() == text.replace("old", "new")
    with pytest.raises(ValueError, match="lacks the marks"):
        write(page, "new", WITH_REAL)


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert set(WITH_REAL_ENGINES) <= set(ON_ONE_HOST)


def test_time_limits_are_read_from_clocks_that_do_not_jump() -> None:
    root = Path(__file__).parent.parent.parent
    readers = {
        path.relative_to(root).as_posix()
        for package in ("gateway", "common", "lm_service", "dit_service", "acestep")
        for path in (root / package).rglob("*.py")
        if "time.time()" in path.read_text()
    }

    assert readers == {"gateway/ages.py"}  # once, for the files that an earlier process left
