"""`acestep-serve tokens new`: what it prints is what a gateway takes."""

import json
from pathlib import Path

from typer.testing import CliRunner

from acestep_serve.cli import app
from gateway.tenants import Tenants


def test_a_new_token_and_its_entry_belong_together(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["tokens", "new", "studio"])

    token, entry = done.stdout.splitlines()
    file = tmp_path / "tenants.json"
    file.write_text(json.dumps({"tenants": json.loads(f"{{{entry}}}")}))
    owner = Tenants(file).owner_of(token)
    assert owner is not None and owner.name == "studio"
    assert token not in entry


def test_two_tokens_are_never_the_same() -> None:
    first, second = (CliRunner().invoke(app, ["tokens", "new", "studio"]).stdout for _ in range(2))

    assert first != second


def test_a_name_that_no_gateway_takes_is_refused() -> None:
    done = CliRunner().invoke(app, ["tokens", "new", "the studio"])

    assert done.exit_code == 2
    assert "1 to 64 characters" in done.stderr
