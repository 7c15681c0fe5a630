"""The service agrees with the recorded reference, or departs from it as it says."""

from dataclasses import replace

import pytest

from tests.dit.departures import DEPARTURES, judge
from tests.dit.golden import ROOT, TOLERANCE, Case, case, case_names
from tests.dit.replay import Gap, Stand, gap
from tests.dit.replay_runs import run_of


@pytest.fixture(scope="module")
def stand() -> Stand:
    return Stand.load(ROOT)


@pytest.mark.parametrize("name", case_names())
def test_a_case_of_the_reference_is_met(stand: Stand, name: str) -> None:
    verdict = judge(stand, case(name))

    assert verdict.gaps or verdict.not_offered
    assert [gap for gap in verdict.gaps if not gap.passes] == []


def test_departures_are_those_that_are_listed(stand: Stand) -> None:
    departing = {
        departure.name: [name for name in case_names() if departure.concerns(stand, case(name))]
        for departure in DEPARTURES
    }

    assert departing == {
        "pads": ["turbo_ode_batch2_padded"],
        "lengths": ["handler_codes_batch_mixed_len"],
        "short songs": ["handler_t2m_short_turbo"],
        "lego": ["handler_lego_base"],
        "last time": ["base_timesteps_no_zero"],
        "sde levels": ["base_sde_shift3"],
        "tables": ["turbo_ode_legacy_shift2p6"],
    }


def test_another_wavelet_is_told_to_be_missing(stand: Stand) -> None:
    golden = case("turbo_dcw_double")
    params = golden.facts["params"] | {"dcw_wavelet": "db4"}

    verdict = judge(stand, replace(golden, facts=golden.facts | {"params": params}))

    assert verdict.not_offered == "wavelet correction (DCW) by db4"


@pytest.mark.parametrize(
    ("name", "item"),
    [("turbo_ode_batch2_padded", 1), ("base_timesteps_no_zero", 0), ("base_sde_shift3", 0)],
)
def test_departures_are_heard(stand: Stand, name: str, item: int) -> None:
    golden = case(name)

    difference = gap("latents", run_of(stand, golden, item).latents()[-1], golden["out.latents"][[item]])

    assert difference.size > 1e-2


def test_a_wrong_number_fails(stand: Stand) -> None:
    golden: Case = case("turbo_ode_shift3")
    wrong = golden.tensors | {"out.latents": golden["out.latents"] + 2 * TOLERANCE}

    assert judge(stand, golden).passes
    assert not judge(stand, replace(golden, tensors=wrong)).passes
    assert not Gap("latents", float("nan"), TOLERANCE).passes
