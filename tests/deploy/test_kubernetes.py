"""The manifests fit the code: settings, ports, health names, times."""

import re
import subprocess
from pathlib import Path

import pytest
from kubernetes_validate import SchemaNotFoundError, latest_version, validate

from acestep import __version__
from common.server import LIVENESS
from tests.deploy.cluster import STAGES, Cluster, rendered, selects
from tests.deploy.services import ROOT, SERVICES, Service, port_of

OLDEST = "1.30"
"""Has `preStop: sleep` and probes by gRPC."""

OPERATORS = {
    "Certificate",
    "GRPCRoute",
    "Issuer",
    "PrometheusRule",
    "ScaledObject",
    "ServiceMonitor",
}
"""Kinds that Kubernetes itself does not know; tests/deploy/test_operators.py looks at them."""

service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


@pytest.mark.parametrize("version", [OLDEST, latest_version()])
def test_every_resource_has_the_form_of_its_kind(cluster: Cluster, version: str) -> None:
    for resource in cluster.resources:
        try:
            validate(resource, version, strict=True)
        except SchemaNotFoundError:
            assert resource["kind"] in OPERATORS


def test_everything_lives_in_one_namespace_that_admits_confined_pods_alone(cluster: Cluster) -> None:
    (namespace,) = cluster.all("Namespace")

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for resource in cluster.resources:
        if resource is not namespace:
            assert resource["metadata"]["namespace"] == namespace["metadata"]["name"]


def test_images_are_ours_and_of_this_version(cluster: Cluster) -> None:
    for _, pod in cluster.pods():
        for container in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())]:
            image, _, tag = container["image"].partition(":")
            assert image.removeprefix("acestep-serve/") in STAGES
            assert tag.removesuffix("-cuda") == __version__


@service
def test_a_service_knows_all_that_it_is_set_to(cluster: Cluster, service: Service) -> None:
    assert cluster.settings(service.name)  # a name that it does not know would have raised
    assert cluster.pod(service.name)["spec"]["enableServiceLinks"] is False


@service
def test_ports_are_those_that_the_service_listens_on(cluster: Cluster, service: Service) -> None:
    settings = cluster.settings(service.name)
    ports = {port["name"]: port["containerPort"] for port in cluster.container(service.name)["ports"]}

    assert ports == {
        "grpc": port_of(settings.address),
        "health": port_of(settings.health_address),
        "metrics": settings.metrics_port,
    }


@service
def test_probes_ask_for_names_that_health_knows(cluster: Cluster, service: Service) -> None:
    container = cluster.container(service.name)
    health_port = port_of(cluster.settings(service.name).health_address)

    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container[kind]["grpc"]
        assert probe["port"] == health_port
        assert probe.get("service", "") in service.health_names


@service
def test_a_pod_that_loads_or_drains_is_alive_but_not_ready(cluster: Cluster, service: Service) -> None:
    container = cluster.container(service.name)

    assert container["livenessProbe"]["grpc"]["service"] == LIVENESS
    assert container["readinessProbe"]["grpc"].get("service", "") != LIVENESS


def test_stages_have_minutes_to_load_and_the_gateway_does_not_wait_for_them(cluster: Cluster) -> None:
    for name in ("lm-service", "dit-service"):
        probe = cluster.container(name)["startupProbe"]
        assert probe["grpc"]["service"] == SERVICES[name].health_name
        assert probe["periodSeconds"] * probe["failureThreshold"] >= 600
    assert cluster.container("gateway")["startupProbe"]["grpc"]["service"] == LIVENESS


@service
def test_a_pod_outlives_the_grace_of_its_service(cluster: Cluster, service: Service) -> None:
    pre_stop_s = cluster.container(service.name)["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace_s = cluster.pod(service.name)["spec"]["terminationGracePeriodSeconds"]

    assert pre_stop_s >= 10  # that long it takes until all the world knows that the pod is leaving
    assert grace_s >= pre_stop_s + cluster.settings(service.name).grace_s + 10


def test_the_grace_of_every_service_is_above_its_longest_work(cluster: Cluster) -> None:
    gateway = cluster.settings("gateway")
    plan_s, codes_s, render_s = gateway.plan_timeout_s, gateway.codes_timeout_s, gateway.render_timeout_s

    assert cluster.settings("lm-service").grace_s >= max(plan_s, codes_s)
    assert cluster.settings("dit-service").grace_s >= render_s
    assert gateway.grace_s >= plan_s + codes_s + render_s


def test_the_gateway_finds_every_pod_of_a_stage_by_name(cluster: Cluster) -> None:
    environment = cluster.environment("gateway")

    for name, variable in (("lm-service", "LM_ADDRESS"), ("dit-service", "DIT_ADDRESS")):
        headless = cluster.one("Service", name)["spec"]
        port = port_of(cluster.settings(name).address)
        assert environment[f"ACESTEP_GATEWAY_{variable}"] == f"dns:///{name}:{port}"
        assert headless["clusterIP"] == "None"
        assert {"name": "grpc", "port": port, "targetPort": "grpc"} in headless["ports"]


def test_a_selector_selects_the_pods_of_one_deployment(cluster: Cluster) -> None:
    pods = {name: cluster.pod(name)["metadata"]["labels"] for name in SERVICES}

    for deployment in cluster.all("Deployment"):
        name = deployment["metadata"]["name"]
        assert [n for n in pods if selects(deployment["spec"]["selector"], pods[n])] == [name]
    for item in cluster.all("Service"):
        name = item["metadata"]["name"].removesuffix("-headless")
        assert [n for n in pods if item["spec"]["selector"].items() <= pods[n].items()] == [name]
    for budget in cluster.all("PodDisruptionBudget"):
        name = budget["metadata"]["name"]
        assert [n for n in pods if selects(budget["spec"]["selector"], pods[n])] == [name]


def test_a_service_leads_to_ports_that_its_pods_have(cluster: Cluster) -> None:
    for item in cluster.all("Service"):
        container = cluster.container(item["metadata"]["name"].removesuffix("-headless"))
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for port in item["spec"]["ports"]:
            assert port["port"] == ports[port["targetPort"]]


@service
def test_one_pod_of_a_service_may_be_evicted_at_a_time(cluster: Cluster, service: Service) -> None:
    assert cluster.one("PodDisruptionBudget", service.name)["spec"]["maxUnavailable"] == 1


def test_what_a_pod_reads_and_mounts_is_there(cluster: Cluster) -> None:
    made_elsewhere = {f"{name}-tls" for name in SERVICES}  # by cert-manager
    for _, pod in cluster.pods():
        for volume in pod["spec"]["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in cluster.names("PersistentVolumeClaim")
            elif secret := volume.get("secret"):
                assert secret["secretName"] in cluster.names("Secret") | made_elsewhere
            else:
                assert volume["emptyDir"]["sizeLimit"]
        assert pod["spec"]["serviceAccountName"] in cluster.names("ServiceAccount")


def test_stages_wait_for_what_the_job_of_models_marks_as_complete(cluster: Cluster) -> None:
    (job,) = cluster.one("Job", "models")["spec"]["template"]["spec"]["containers"]
    marker = '"/models/.complete-$MODEL_SET"'

    assert marker in job["args"][0]
    for name in ("lm-service", "dit-service"):
        (waiting,) = cluster.pod(name)["spec"]["initContainers"]
        assert marker in waiting["command"][-1]
        assert waiting["envFrom"] == job["envFrom"]


@pytest.mark.parametrize(
    "page", ["docs/deploy.md", "deploy/kubernetes/overlays/cpu-demo/kustomization.yaml"]
)
def test_the_demo_is_complete_once_its_models_are_handed_over_as_told(page: str, tmp_path: Path) -> None:
    told = re.search(
        r"(tar -c models_micro) \| kubectl .* -- \\\n\W*(sh -c '.*')", (ROOT / page).read_text()
    )
    (job,) = rendered("cpu-demo").one("Job", "models")["spec"]["template"]["spec"]["containers"]
    model_set = rendered("cpu-demo").one("ConfigMap", job["envFrom"][0]["configMapRef"]["name"])["data"]
    assert told is not None

    def run(command: str, cwd: Path) -> "subprocess.Popen[bytes]":
        """As in the pod, but for the place of the volume."""
        return subprocess.Popen(
            ["sh", "-ec", command.replace("/models", str(tmp_path))], cwd=cwd, env=model_set
        )

    waiting = run(job["args"][0], tmp_path)
    assert run(" | ".join(told.groups()), ROOT).wait(60) == 0

    assert waiting.wait(10) == 0
    assert (tmp_path / "vae/config.json").read_bytes() == (
        ROOT / "models_micro/vae/config.json"
    ).read_bytes()


def test_the_language_model_has_shared_memory(cluster: Cluster) -> None:
    (mount,) = (m for m in cluster.container("lm-service")["volumeMounts"] if m["mountPath"] == "/dev/shm")
    volumes = {volume["name"]: volume for volume in cluster.pod("lm-service")["spec"]["volumes"]}

    assert volumes[mount["name"]]["emptyDir"]["medium"] == "Memory"


def test_each_pod_of_a_stage_has_one_gpu(gpu: Cluster) -> None:
    for name in ("lm-service", "dit-service"):
        assert gpu.container(name)["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert gpu.settings(name).device.value == "cuda"
        assert gpu.container(name)["image"].endswith("-cuda")
    assert "nvidia.com/gpu" not in gpu.container("gateway")["resources"]["limits"]


def test_a_rollout_leaves_a_replica_to_serve(cluster: Cluster) -> None:
    for deployment in cluster.all("Deployment"):
        rolling = deployment["spec"]["strategy"]["rollingUpdate"]
        assert deployment["spec"].get("replicas", 2) > rolling["maxUnavailable"]
