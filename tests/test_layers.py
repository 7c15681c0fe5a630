"""Who may import whom. A service never reaches into another one: it calls it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "acestep": set[str](),
    "common": {"acestep"},
    "model_store": {"common"},
    "lm_service": {"common", "acestep"},
    "dit_service": {"common", "acestep"},
    "gateway": {"common", "acestep"},
    "acestep_serve": {"common", "acestep", "model_store"},
}
OURS = {*MAY_IMPORT, "tests"}


def imported_by(path: Path) -> set[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_the_layers_below_it(package: str) -> None:
    paths = list((ROOT / package).rglob("*.py"))

    assert paths
    for path in paths:
        beyond = imported_by(path) & OURS - MAY_IMPORT[package] - {package}
        assert not beyond, f"{path.relative_to(ROOT)} imports {beyond}"


def test_the_client_needs_neither_torch_nor_vllm() -> None:
    for path in (ROOT / "acestep").rglob("*.py"):
        heavy = imported_by(path) & {"torch", "vllm", "transformers", "diffusers"}
        assert not heavy, f"{path.relative_to(ROOT)} imports {heavy}"
