import os
from pathlib import Path

import pytest
import yaml

from tests.deploy.cluster import KUBERNETES, OVERLAYS, Cluster, kustomized, rendered


@pytest.fixture(params=OVERLAYS)
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Each overlay in turn."""
    return rendered(request.param)


@pytest.fixture
def gpu() -> Cluster:
    return rendered("gpu")


@pytest.fixture
def autoscaled() -> Cluster:
    return rendered("gpu-autoscaled")


@pytest.fixture
def traced(tmp_path: Path) -> Cluster:
    """The overlay gpu with the component that no overlay has: what an operator adds for traces."""
    base, traces = (
        os.path.relpath(KUBERNETES / part, tmp_path.resolve())
        for part in ("overlays/gpu", "components/traces")
    )
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "acestep",
        "resources": [base],
        "components": [traces],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    return kustomized(tmp_path)
