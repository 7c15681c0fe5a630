import pytest

from tests.deploy.cluster import OVERLAYS, Cluster, rendered


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
