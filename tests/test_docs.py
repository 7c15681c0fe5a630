"""What the documents say is what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SECURITY = (ROOT / "docs/security.md").read_text()
OBSERVABILITY = (ROOT / "docs/observability.md").read_text()


def test_the_table_of_settings_is_up_to_date() -> None:
    subprocess.run([sys.executable, ROOT / "scripts/settings-table", "--check"], check=True)


def test_every_variable_in_the_readme_exists() -> None:
    known = "".join((ROOT / "docs" / name).read_text() for name in ("settings.md", "inference_api.md"))

    for name in re.findall(r"`(ACESTEP_(?:GATEWAY|LM|DIT)_[A-Z_]+)`", README):
        assert f"`{name}`" in known, name


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_link_in_the_readme_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()

    targets = re.findall(r"(?:^    |`)make ([a-z]+)", README, re.MULTILINE)

    assert targets
    for target in set(targets):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize(
    "path", re.findall(r"`((?:tests|deploy|scripts)/[\w/.]+)`", SECURITY + OBSERVABILITY)
)
def test_what_is_named_as_proof_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_variable_in_the_other_docs_exists() -> None:
    known = (ROOT / "docs/settings.md").read_text()

    for name in re.findall(r"\b(ACESTEP_(?:GATEWAY|LM|DIT)_[A-Z_]+)\b", SECURITY + OBSERVABILITY):
        assert f"`{name}`" in known, name
