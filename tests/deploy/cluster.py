"""What Kustomize makes of an overlay, with the questions that the tests ask of it."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.images import stages
from tests.deploy.services import ROOT, SERVICES
from tests.deploy.tools import needs

KUBERNETES = ROOT / "deploy/kubernetes"
OVERLAYS = ("cpu-demo", "gpu", "gpu-autoscaled")
STAGES = stages()
Resource = dict[str, Any]


class Cluster:
    """The resources of an overlay."""

    def __init__(self, resources: list[Resource]) -> None:
        self.resources = resources

    def all(self, *kinds: str) -> list[Resource]:
        return [resource for resource in self.resources if resource["kind"] in kinds]

    def one(self, kind: str, name: str) -> Resource:
        (found,) = (item for item in self.all(kind) if item["metadata"]["name"] == name)
        return found

    def names(self, kind: str) -> set[str]:
        return {resource["metadata"]["name"] for resource in self.all(kind)}

    def pod(self, name: str) -> Resource:
        """The pod template of the Deployment `name`."""
        template: Resource = self.one("Deployment", name)["spec"]["template"]
        return template

    def pods(self) -> Iterator[tuple[str, Resource]]:
        """Every pod template by its owner's name."""
        for owner in self.all("Deployment", "Job"):
            yield owner["metadata"]["name"], owner["spec"]["template"]

    def container(self, name: str) -> Resource:
        (container,) = self.pod(name)["spec"]["containers"]
        assert container["name"] == name
        return dict(container)

    def environment(self, name: str) -> dict[str, str]:
        """What the container of `name` finds, its image's own environment included."""
        found = dict(STAGES[name].environment)
        for source in self.container(name)["envFrom"]:
            found |= self.one("ConfigMap", source["configMapRef"]["name"])["data"]
        return found

    def settings(self, name: str) -> Any:
        return SERVICES[name].settings(self.environment(name))

    def policies_of(self, name: str) -> list[Resource]:
        """The network policies that hold for the pods of `name`."""
        labels = self.pod(name)["metadata"]["labels"]
        return [
            policy["spec"]
            for policy in self.all("NetworkPolicy")
            if selects(policy["spec"]["podSelector"], labels)
        ]


def selects(selector: Resource, labels: dict[str, str]) -> bool:
    """Whether a label selector with `matchLabels`, and with `In` alone, selects `labels`."""
    for expression in selector.get("matchExpressions", ()):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


@cache
def rendered(overlay: str) -> Cluster:
    return kustomized(KUBERNETES / "overlays" / overlay)


def kustomized(folder: Path) -> Cluster:
    needs("kubectl")
    made = subprocess.run(
        ["kubectl", "kustomize", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert not made.stderr, f"Kustomize warns: {made.stderr}"
    return Cluster(list(yaml.safe_load_all(made.stdout)))
