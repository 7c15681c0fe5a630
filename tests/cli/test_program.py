"""What the command line tells people to type next."""

import stat
import sys
from pathlib import Path

import pytest

from acestep_serve.program import program, start


@pytest.mark.parametrize(
    ("typed", "on_path", "told"),
    [
        (".venv/bin/acestep-serve", False, ".venv/bin/acestep-serve"),
        (".venv/bin/acestep-serve", True, "acestep-serve"),
        ("acestep_serve/__main__.py", False, "acestep-serve"),
    ],
)
def test_the_command_is_told_as_it_can_be_typed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, on_path: bool, told: str
) -> None:
    if on_path:
        (tmp_path / "acestep-serve").touch(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [typed])

    assert program() == told


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        ((), "acestep-serve up"),
        (("models_micro",), "acestep-serve up --models models_micro"),
        (("models/tiny", "models_micro"), "acestep-serve up --models models_micro"),
        (("models/acestep-v15-turbo", "models_micro"), "acestep-serve up"),
    ],
)
def test_a_system_is_started_with_models_that_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: tuple[str, ...], told: str
) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["acestep_serve/__main__.py"])

    assert start() == told
