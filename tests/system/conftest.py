"""The whole system, started once as an operator would: three processes, real vLLM, real torch."""

import asyncio
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from acestep.client import Client, connect
from common.ports import free_ports_of_localhost
from model_store.tiny import build
from tests.system.collector import Collector, collecting

READY_TIMEOUT_S = 280
LM_GAUGES = ("acestep_lm_requests_running", "acestep_lm_engine_unfinished_requests")
DIT_GAUGES = ("acestep_dit_renders_running", "acestep_dit_device_busy")


@dataclass(frozen=True, slots=True)
class System:
    """A running system and its doors."""

    address: str
    lm_metrics: int
    dit_metrics: int
    run_dir: Path
    collector: Collector

    def metrics(self) -> str:
        """All that the three services export."""
        pages = []
        for port in (self.lm_metrics - 1, self.lm_metrics, self.dit_metrics):
            with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=5) as answer:
                pages.append(answer.read().decode())
        return "\n".join(pages)

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in self.run_dir.glob("*.log"))

    def gauges(self) -> dict[str, float]:
        """What says whether the engines are busy, read over HTTP."""
        values = {}
        for port, names in ((self.lm_metrics, LM_GAUGES), (self.dit_metrics, DIT_GAUGES)):
            with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=5) as answer:
                families = text_string_to_metric_families(answer.read().decode())
            samples = [sample for family in families for sample in family.samples]
            values.update(
                {name: sum(sample.value for sample in samples if sample.name == name) for name in names}
            )
            missing = set(names) - {sample.name for sample in samples}
            assert not missing, f"no such metrics: {missing}"
        return values

    async def until_idle(self, timeout_s: float = 20.0) -> None:
        async with asyncio.timeout(timeout_s):
            while any(self.gauges().values()):
                await asyncio.sleep(0.05)

    def command(self, *arguments: str) -> list[str]:
        """The command line of `acestep-serve`, talking to this system."""
        return [sys.executable, "-m", "acestep_serve", *arguments, "--address", self.address]

    def run(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run `acestep-serve` as a user would."""
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    build(folder)
    return folder


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="session")
def system(
    tiny_models: Path, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    run_dir = tmp_path_factory.mktemp("run")
    gateway, lm, dit = free_ports_of_localhost(3)
    metrics = next(port for port in range(19_050, 60_000, 10) if all(is_free(port + i) for i in range(3)))
    serve = [sys.executable, "-m", "acestep_serve"]
    started = subprocess.run(
        [
            *serve, "up", "--detach", "--models", str(tiny_models), "--run-dir", str(run_dir),
            "--dit", "acestep-v15-turbo", "--dit", "acestep-v15-base",
            "--port", str(gateway), "--lm-port", str(lm), "--dit-port", str(dit),
            "--metrics-port-base", str(metrics), "--ready-timeout", str(READY_TIMEOUT_S),
        ],
        env=os.environ | {  # noqa: TID251 - passed on to the services, not read here
            f"ACESTEP_{name}_OTLP_ENDPOINT": f"http://localhost:{collector.port}"
            for name in ("GATEWAY", "LM", "DIT")
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    logs = "\n".join(path.read_text()[-3000:] for path in run_dir.glob("*.log"))
    assert started.returncode == 0, f"{started.stdout}{started.stderr}\n{logs}"
    yield System(f"localhost:{gateway}", metrics + 1, metrics + 2, run_dir, collector)
    subprocess.run([*serve, "down", "--run-dir", str(run_dir)], check=True, capture_output=True)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) != 0


@pytest.fixture
async def client(system: System) -> AsyncIterator[Client]:
    async with connect(system.address) as connected:
        yield connected
