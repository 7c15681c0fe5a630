"""`acestep-serve models`, as it is typed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from acestep_serve.models_command import models_app
from model_store.released import MAIN_REPOSITORY
from tests.model_store.hub_server import REVISION, hub_of

VAE_FILES = {"vae/config.json": b"{}\n", "vae/diffusion_pytorch_model.safetensors": b"sound"}


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(models_app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def run_against(endpoint: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: huggingface_hub reads its settings when it is imported."""
    command = [sys.executable, "-c", "from acestep_serve.models_command import models_app; models_app()"]
    environment = {"PATH": os.defpath, "HF_ENDPOINT": endpoint, "HOME": "/nonexistent"}
    return subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    code, output, _ = run("build-tiny", str(folder))
    assert code == 0
    assert f"acestep-serve up --models {folder}" in output
    return folder


def test_the_tiny_family_is_listed_as_complete(tiny: Path) -> None:
    code, output, _ = run("list", "--models", str(tiny), "--json")

    listed = json.loads(output)
    assert code == 0
    assert {item["kind"] for item in listed} == {"lm", "dit", "vae", "text-encoder"}
    assert all(item["complete"] and item["bytes"] > 0 for item in listed)


def test_a_missing_file_is_listed(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()

    _, output, _ = run("list", "--models", str(tmp_path))

    assert "missing: config.json" in output


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    code, output, _ = run("list", "--models", str(tmp_path))

    assert code == 0
    assert "models pull" in output
    assert "models build-tiny" in output


def test_build_tiny_never_overwrites(tiny: Path) -> None:
    code, _, error = run("build-tiny", str(tiny))

    assert code == 1
    assert "is there already" in error


def test_an_unknown_name_is_a_usage_error() -> None:
    code, _, error = run("pull", "acestep-v16")

    assert code == 2
    assert "'acestep-v16'" in error
    assert "turbo" in error


def test_pull_fetches_and_says_what_is_next(tmp_path: Path) -> None:
    with hub_of({MAIN_REPOSITORY: VAE_FILES}) as hub:
        result = run_against(hub.endpoint, "pull", "vae", "--models", str(tmp_path), "--revision", REVISION)

    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").read_bytes() == b"sound"
    assert "acestep-serve up" in result.stdout


def test_a_failed_pull_says_why_in_one_line(tmp_path: Path) -> None:
    with hub_of({}) as hub:
        result = run_against(hub.endpoint, "pull", "vae", "--models", str(tmp_path))

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert MAIN_REPOSITORY in result.stderr
