"""The images fit the services in them. deploy/prove-containers builds and runs them."""

import re
import subprocess
import sys

import pytest

from tests.deploy.images import TEXT, stages
from tests.deploy.services import ROOT, SERVICES, Service, port_of

STAGES = stages()
service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def wanted(*extras: str) -> set[str]:
    """The packages that an image with `extras` asks for."""
    command = [sys.executable, str(ROOT / "deploy/wanted"), *extras]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {re.split(r"[<=>\[]", line)[0] for line in lines}


def test_the_base_image_is_named_by_its_digest() -> None:
    assert re.search(
        r"^ARG PYTHON_IMAGE=python:3\.1[12]-slim-bookworm@sha256:[0-9a-f]{64}$", TEXT, re.MULTILINE
    )


@pytest.mark.parametrize("name", [*SERVICES, "client"])
def test_an_image_runs_as_a_fixed_user_under_an_init_process(name: str) -> None:
    stage = STAGES[name]

    assert stage.user == "10001:10001"
    assert stage.entrypoint[:2] == ["tini", "--"]


@pytest.mark.parametrize("name", [*SERVICES, "client"])
def test_an_image_says_what_it_is_and_from_which_commit(name: str) -> None:
    prefix = "org.opencontainers.image."

    assert STAGES[name].labels == {f"{prefix}title", f"{prefix}description", f"{prefix}revision"}


@service
def test_a_service_starts_with_the_settings_of_its_image(service: Service) -> None:
    stage = STAGES[service.name]

    settings = service.settings(stage.environment)

    assert stage.entrypoint[2:] == ["python", "-m", service.package]
    assert stage.ports == {
        port_of(settings.address),
        port_of(settings.health_address),
        settings.metrics_port,
    }


@service
def test_health_is_asked_where_it_is_answered_without_tls(service: Service) -> None:
    stage = STAGES[service.name]
    health_port = port_of(service.settings(stage.environment).health_address)

    assert stage.healthcheck == ["python", "-m", "common.health", f"localhost:{health_port}"]


def test_only_packages_go_into_an_image_and_no_weights() -> None:
    for name in (*SERVICES, "client"):
        *lists, code = STAGES[name].copies
        assert code == "--from=ours /opt/ours /opt/venv"
        assert all(item.endswith(" /opt/requirements/") or "/wanted/" in item for item in lists)


def test_the_build_sees_the_code_and_its_requirements_alone() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()

    assert "*" in lines
    for line in lines:
        if line.startswith("!"):
            assert (ROOT / line[1:]).exists(), line


@pytest.mark.parametrize("extra", ["gateway", "models"])
def test_images_that_compute_nothing_hold_no_torch(extra: str) -> None:
    packages = wanted(extra)

    assert "grpcio" in packages
    assert not packages & {"torch", "vllm", "diffusers", "transformers"}


def test_the_image_of_the_diffusion_can_also_build_the_tiny_models() -> None:
    assert wanted("dit", "models") >= {
        "torch",
        "diffusers",
        "safetensors",
        "tokenizers",
        "prometheus-client",
    }
