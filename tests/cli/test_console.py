"""What the command line tells people to type next."""

import stat
import sys
from pathlib import Path

import pytest

from acestep_serve.console import program


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
