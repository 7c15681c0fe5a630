"""docker-compose.yml and its overlays, as Compose itself reads them."""

import itertools
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.images import stages
from tests.deploy.services import ROOT, SERVICES, Service, port_of
from tests.deploy.tools import needs

OVERLAYS = ("deploy/compose.gpu.yaml", "deploy/compose.observability.yaml")
COMBINATIONS = [c for count in range(3) for c in itertools.combinations(OVERLAYS, count)]
STAGES = stages()


@cache
def config(overlays: tuple[str, ...]) -> dict[str, Any]:
    """What Compose makes of the files together."""
    needs("docker-compose")
    files = [argument for path in ("docker-compose.yml", *overlays) for argument in ("-f", path)]
    read = subprocess.run(
        ["docker-compose", *files, "config"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stderr
    content: dict[str, Any] = yaml.safe_load(read.stdout)
    return content


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda c: "+".join(c) or "base")
def composed(request: pytest.FixtureRequest) -> dict[str, Any]:
    return config(request.param)


@pytest.fixture(scope="module")
def gpu() -> dict[str, Any]:
    return config(("deploy/compose.gpu.yaml",))


def mounted_at(target: str, service: dict[str, Any]) -> list[str]:
    return [volume for volume in service["volumes"] if volume.split(":")[1] == target]


def seconds(text: str) -> float:
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", text).groups()  # type: ignore[union-attr]
    return 60 * int(minutes or 0) + int(rest or 0)


def test_every_container_is_confined(composed: dict[str, Any]) -> None:
    for name, service in composed["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] > 0, name
        assert "privileged" not in service, name


def test_of_ours_only_the_gateway_can_be_reached_and_only_from_this_machine(
    composed: dict[str, Any],
) -> None:
    published = {
        name: service["ports"] for name, service in composed["services"].items() if "ports" in service
    }

    assert published.pop("gateway") == ["127.0.0.1:50050:50050/tcp"]
    assert set(published) <= {"prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_stages_have_no_way_out(composed: dict[str, Any]) -> None:
    assert composed["networks"]["stages"]["internal"] is True
    for name in ("lm-service", "dit-service"):
        assert list(composed["services"][name]["networks"]) == ["stages"]


def test_the_gateway_starts_when_the_stages_are_there(composed: dict[str, Any]) -> None:
    healthy = {"condition": "service_healthy"}

    assert composed["services"]["gateway"]["depends_on"] == {"lm-service": healthy, "dit-service": healthy}


@pytest.mark.parametrize("name", ["lm-service", "dit-service"])
def test_without_a_gpu_the_stages_read_the_micro_family_of_this_repository(name: str) -> None:
    (source,) = mounted_at("/models", config(())["services"][name])

    assert source == f"{ROOT / 'models_micro'}:/models:ro"
    assert (ROOT / "models_micro/MODEL_CARD.md").exists()


@pytest.mark.parametrize("name", ["lm-service", "dit-service"])
def test_on_a_gpu_the_stages_read_released_weights_alone_once_they_are_there(
    gpu: dict[str, Any], name: str
) -> None:
    service = gpu["services"][name]

    assert gpu["services"]["models"]["command"][:2] == ["models", "pull"]
    assert mounted_at("/models", gpu["services"]["models"]) == ["models:/models:rw"]
    assert mounted_at("/models", service) == ["models:/models:ro"]
    assert service["depends_on"] == {"models": {"condition": "service_completed_successfully"}}


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_a_container_outlives_the_grace_of_its_service(composed: dict[str, Any], service: Service) -> None:
    container = composed["services"][service.name]

    settings = service.settings(STAGES[service.name].environment | container.get("environment", {}))

    assert seconds(container["stop_grace_period"]) >= settings.grace_s + 10


def test_the_gateway_is_told_where_the_stages_listen(composed: dict[str, Any]) -> None:
    environment = composed["services"]["gateway"]["environment"]

    for stage, name in (("lm-service", "LM"), ("dit-service", "DIT")):
        port = port_of(SERVICES[stage].settings(STAGES[stage].environment).address)
        assert environment[f"ACESTEP_GATEWAY_{name}_ADDRESS"].removeprefix("dns:///") == f"{stage}:{port}"


def test_every_image_of_ours_is_built_from_the_dockerfile(composed: dict[str, Any]) -> None:
    for service in composed["services"].values():
        if "build" in service:
            target = service["build"]["target"]
            assert target in STAGES
            assert service["image"].split(":")[0] == f"acestep-serve/{target}"


def test_each_stage_has_a_gpu_of_its_own(gpu: dict[str, Any]) -> None:
    devices = []
    for name in ("lm-service", "dit-service"):
        service = gpu["services"][name]
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        devices += device["device_ids"]
        assert (
            SERVICES[name].settings(STAGES[name].environment | service["environment"]).device.value
            == "cuda"
        )
        assert service["build"]["args"] == {"DEVICE": "cuda"}

    assert len(set(devices)) == len(devices) == 2


def test_prometheus_asks_every_service_at_its_port() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/observability/prometheus.yml").read_text())["scrape_configs"]

    found = {job["job_name"]: job["dns_sd_configs"][0]["port"] for job in scraped}

    assert found == {
        name: service.settings(STAGES[name].environment).metrics_port for name, service in SERVICES.items()
    }


def test_what_the_overlay_mounts_is_there() -> None:
    observed = config(("deploy/compose.observability.yaml",))["services"]

    for name in ("prometheus", "grafana", "otel-collector"):
        for volume in observed[name]["volumes"]:
            source = Path(volume.split(":")[0])
            assert source.exists() if source.is_absolute() else str(source) in ("prometheus", "grafana")
