"""What operators read: alerts, autoscaling, monitoring and routes name things that exist."""

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from acestep.gateway.v1 import music_service_pb2
from tests.deploy.cluster import Cluster
from tests.deploy.exported import samples
from tests.deploy.services import ROOT, SERVICES
from tests.deploy.tools import needs

RULES = ROOT / "deploy/observability/rules"
RUNBOOKS = (ROOT / "docs/runbooks.md").read_text()
ALERTS: list[dict[str, Any]] = [
    rule
    for path in sorted(RULES.glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])


def named_in(query: str) -> set[str]:
    """Our metrics in a query. A pattern such as `acestep_(a|b)` stands for each of its names."""
    found = set()
    for stem, choices in re.findall(r"(acestep_\w*)(?:\(([\w|]+)\))?", query):
        found |= {f"{stem}{choice}" for choice in choices.split("|")}
    return found


@alert
def test_an_alert_watches_metrics_that_are_exported(alert: dict[str, Any]) -> None:
    assert named_in(alert["expr"]) <= samples()


@alert
def test_an_alert_says_how_urgent_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("page", "ticket")
    path, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert (ROOT / path).read_text() == RUNBOOKS
    assert anchor == alert["alert"].lower()
    assert f"\n## {alert['alert']}\n" in RUNBOOKS


def test_every_runbook_belongs_to_an_alert() -> None:
    assert set(re.findall(r"^## (Acestep\w+)$", RUNBOOKS, re.MULTILINE)) == {a["alert"] for a in ALERTS}


@alert
def test_an_alert_names_the_jobs_that_are_scraped(alert: dict[str, Any]) -> None:
    for jobs in re.findall(r'job=~?"([^"]+)"', alert["expr"]):
        assert set(jobs.split("|")) <= set(SERVICES)


def test_prometheus_accepts_the_rules_and_its_configuration() -> None:
    needs("promtool")
    for command in (
        ["rules", *map(str, RULES.glob("*.yml"))],
        ["config", str(RULES.parent / "prometheus.yml")],
    ):
        subprocess.run(["promtool", "check", *command], check=True, capture_output=True)


def test_the_operator_is_given_the_same_alerts(gpu: Cluster) -> None:
    subprocess.run([sys.executable, str(ROOT / "scripts/prometheus-rule"), "--check"], check=True)

    (rule,) = gpu.all("PrometheusRule")
    assert [item for group in rule["spec"]["groups"] for item in group["rules"]] == ALERTS


def test_every_service_is_monitored_under_the_name_that_alerts_use(gpu: Cluster) -> None:
    monitor = gpu.one("ServiceMonitor", "acestep-serve")["spec"]
    (endpoint,) = monitor["endpoints"]

    watched = [
        item
        for item in gpu.all("Service")
        if monitor["selector"]["matchLabels"].items() <= item["metadata"].get("labels", {}).items()
    ]

    assert sorted(item["metadata"]["labels"][monitor["jobLabel"]] for item in watched) == sorted(SERVICES)
    for item in watched:
        assert endpoint["port"] in {port["name"] for port in item["spec"]["ports"]}


def test_replicas_follow_metrics_that_are_exported(autoscaled: Cluster) -> None:
    for scaled in autoscaled.all("ScaledObject"):
        (trigger,) = scaled["spec"]["triggers"]
        query = trigger["metadata"]["query"]
        assert named_in(query) <= samples()
        assert f'namespace="{scaled["metadata"]["namespace"]}"' in query


def test_the_autoscaler_alone_decides_how_many_there_are(autoscaled: Cluster) -> None:
    scaled = {
        item["spec"]["scaleTargetRef"]["name"]: item["spec"] for item in autoscaled.all("ScaledObject")
    }

    assert set(scaled) == autoscaled.names("Deployment")
    for name, spec in scaled.items():
        assert "replicas" not in autoscaled.one("Deployment", name)["spec"]
        assert 1 < spec["minReplicaCount"] < spec["maxReplicaCount"]


def test_a_gateway_is_given_more_when_half_of_its_places_are_taken(autoscaled: Cluster) -> None:
    trigger = autoscaled.one("ScaledObject", "gateway")["spec"]["triggers"][0]["metadata"]

    assert 2 * int(trigger["threshold"]) <= autoscaled.settings("gateway").max_songs


def test_the_route_leads_to_the_gateway_and_its_service(gpu: Cluster) -> None:
    (rule,) = gpu.one("GRPCRoute", "gateway")["spec"]["rules"]
    (match,) = rule["matches"]
    (backend,) = rule["backendRefs"]

    names = {item.full_name for item in music_service_pb2.DESCRIPTOR.services_by_name.values()}
    assert match["method"]["service"] in names
    assert backend["port"] in {p["port"] for p in gpu.one("Service", backend["name"])["spec"]["ports"]}
