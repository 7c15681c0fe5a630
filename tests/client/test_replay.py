"""Recorded decisions and public calls of the reference, through upstream's functions and the gateway."""

import pytest

from tests.client.replay.__main__ import GROUPS, replay
from tests.client.replay.departures import ALL, OWN
from tests.lm.golden import FOLDER
from tests.lm.replay.runner import Verdict, count, read

VECTORS = FOLDER / "vectors.json"


@pytest.mark.timeout(300)
async def test_every_vector_is_met_or_departed_from_for_a_reason() -> None:
    outcomes = await replay(VECTORS, FOLDER / "tokenizer")

    assert {each.name: each.unexplained for each in outcomes if each.unexplained} == {}
    assert len(outcomes) == sum(len(read(VECTORS)[group]) for group in GROUPS)
    assert count(outcomes, Verdict.PASSED) >= 30


def test_a_departure_of_songs_is_from_a_fact_that_is_compared() -> None:
    """One that names no fact, or no group, would never apply."""
    for departure in OWN:
        assert departure.facts
        assert set(departure.groups) <= set(GROUPS)
    assert len(ALL) > len(OWN)
