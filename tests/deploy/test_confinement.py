"""What a pod may do, and who may talk to it."""

import pytest

from tests.deploy.cluster import STAGES, Cluster
from tests.deploy.services import SERVICES

STAGE_NAMES = ("lm-service", "dit-service")


def test_pods_meet_the_restricted_standard(cluster: Cluster) -> None:
    for _, pod in cluster.pods():
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_pods_run_as_the_user_of_their_images_and_hold_no_key_to_the_cluster(cluster: Cluster) -> None:
    for _, pod in cluster.pods():
        context = pod["spec"]["securityContext"]
        assert {f"{context['runAsUser']}:{context['runAsGroup']}"} == {
            STAGES[name].user for name in SERVICES
        }
        assert context["fsGroup"] == context["runAsGroup"]
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_pods_have_limits_and_ask_for_the_memory_they_may_use(cluster: Cluster) -> None:
    for name in SERVICES:
        resources = cluster.container(name)["resources"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"]
        assert "ephemeral-storage" in resources["limits"]


@pytest.mark.parametrize("name", STAGE_NAMES)
def test_a_stage_is_reached_by_the_gateway_alone(cluster: Cluster, name: str) -> None:
    rules = [rule for policy in cluster.policies_of(name) for rule in policy.get("ingress", ())]

    callers = [rule["from"] for rule in rules if {"port": "grpc"} in rule["ports"]]

    assert callers == [[{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}}}]]


@pytest.mark.parametrize("name", SERVICES)
def test_metrics_are_read_from_the_namespace_of_monitoring_alone(cluster: Cluster, name: str) -> None:
    rules = [rule for policy in cluster.policies_of(name) for rule in policy.get("ingress", ())]

    (reading,) = (rule for rule in rules if {"port": "metrics"} in rule["ports"])

    (reader,) = reading["from"]
    assert reader == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}


@pytest.mark.parametrize("name", SERVICES)
def test_what_no_policy_allows_is_denied(cluster: Cluster, name: str) -> None:
    denied = {kind for policy in cluster.policies_of(name) for kind in policy["policyTypes"]}
    rules = [rule for policy in cluster.policies_of(name) for rule in policy.get("ingress", ())]

    assert denied == {"Ingress", "Egress"}
    assert all(rule.get("ports") for rule in rules)


@pytest.mark.parametrize("name", STAGE_NAMES)
def test_a_stage_calls_nobody(cluster: Cluster, name: str) -> None:
    assert not [rule for policy in cluster.policies_of(name) for rule in policy.get("egress", ())]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_sends_spans_may_reach_their_collector(traced: Cluster, name: str) -> None:
    rules = [rule for policy in traced.policies_of(name) for rule in policy.get("egress", ())]
    host, port = traced.settings(name).otlp_endpoint.removeprefix("http://").split(":")
    _, namespace = host.split(".")

    (spans,) = (rule for rule in rules if {"port": int(port)} in rule["ports"])

    assert spans["to"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    ]
    assert any({"port": 53, "protocol": "UDP"} in rule["ports"] for rule in rules)


def test_nobody_is_let_in_until_a_token_is_made(gpu: Cluster) -> None:
    assert gpu.environment("gateway")["ACESTEP_GATEWAY_TENANTS"].startswith("/etc/acestep/tenants/")
    assert gpu.settings("gateway").reflection is False


@pytest.mark.parametrize("name", STAGE_NAMES)
def test_stages_ask_for_a_certificate_where_there_is_an_authority(gpu: Cluster, name: str) -> None:
    certificate = gpu.one("Certificate", name)["spec"]

    assert gpu.settings(name).server_tls is not None
    assert certificate["dnsNames"] == [name, gpu.settings("gateway").stage_tls_name]
    volumes = {volume["name"]: volume for volume in gpu.pod(name)["spec"]["volumes"]}
    assert volumes["tls"]["secret"]["secretName"] == certificate["secretName"]
