"""Dashboards and alerts use metrics and labels that the services really have; docs list all of them."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
METRICS = {
    sample: metric
    for metric in runpy.run_path(str(ROOT / "scripts/metrics-table"))["exported"]()
    for sample in metric.samples
}
DASHBOARDS = sorted((ROOT / "deploy/observability/grafana/dashboards").glob("*.json"))
RULES = sorted((ROOT / "deploy/observability/rules").glob("*.yml"))
ADDED_BY_PROMETHEUS = {"job", "instance", "le"}


def alerts() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    panels = [panel for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    return shown + [rule["expr"] for rule in alerts()]


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_in_use_is_exported_with_its_labels(expression: str) -> None:
    names = re.findall(r"\bacestep_[a-z_]+", expression)
    matched = re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    labels = {*matched, *(label.strip() for group in grouped for label in group.split(","))}

    assert names or re.search(r"\b(up|process_[a-z_]+)\b", expression)
    for name in names:
        assert name in METRICS, name
    known = {label for name in names for label in METRICS[name].labels} | ADDED_BY_PROMETHEUS
    assert labels <= known | {""}


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in METRICS.values():
        assert (metric.kind == "counter") == metric.name.endswith("_total"), metric.name
        if metric.kind == "histogram":
            assert metric.name.endswith(("_seconds", "_factor", "_size")), metric.name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", metric.name), metric.name


@pytest.mark.parametrize("script", ["metrics-table", "dashboards"])
def test_what_is_generated_is_up_to_date(script: str) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / script, "--check"], check=True)
