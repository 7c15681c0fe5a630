"""The recorded vectors of the reference, replayed; departures only where `departures.py` gives a reason."""

import json
from pathlib import Path

import pytest

from tests.lm.golden import FOLDER
from tests.lm.replay.__main__ import main
from tests.lm.replay.departures import DEPARTURES
from tests.lm.replay.runner import Outcome, Verdict, replay

OUTCOMES = replay(FOLDER / "vectors.json", FOLDER / "tokenizer")


@pytest.mark.parametrize("outcome", OUTCOMES, ids=[outcome.name for outcome in OUTCOMES])
def test_a_vector_is_met_or_departed_from_for_a_reason(outcome: Outcome) -> None:
    assert outcome.unexplained == {}


def test_what_the_reference_does_right_is_done_the_same_way() -> None:
    """A departure whose rule grew too wide would show here."""
    passed = [outcome.name for outcome in OUTCOMES if outcome.verdict is Verdict.PASSED]

    assert len(OUTCOMES) == 350
    assert len(passed) >= 193


def test_every_departure_has_a_reason_of_its_own() -> None:
    assert len({departure.reason for departure in DEPARTURES}) == len(DEPARTURES)


def test_a_vector_that_is_not_met_is_shown_and_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"id": "L99", "name": "wrong", "input": "x</think>la", "expected": "li"}
    (tmp_path / "vectors.json").write_text(json.dumps({"about": {}, "extract_lyrics": [wrong]}))
    monkeypatch.setattr("sys.argv", ["replay", str(tmp_path / "vectors.json"), str(FOLDER / "tokenizer")])

    assert main() == 1
    assert "FAILED L99 wrong: lyrics" in capsys.readouterr().out
