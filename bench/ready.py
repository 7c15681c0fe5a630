"""How long the DiT service takes from its start to READY."""

import subprocess
import sys
import time
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

PORT = 52_199
LIMIT_S = 120.0


def seconds(models: Path) -> float:
    """Of a process of its own, with what was compiled before kept in `models`."""
    settings = {
        "MODELS": str(models),
        "DEVICE": "cuda",
        "ADDRESS": f"localhost:{PORT}",
        "METRICS_PORT": "0",
        "COMPILE_CACHE": str(models / "compiled"),
        "LOG_FORMAT": "text",
    }
    command = ["env", *(f"ACESTEP_DIT_{name}={value}" for name, value in settings.items())]
    start = time.perf_counter()
    with subprocess.Popen([*command, sys.executable, "-m", "dit_service"], stdout=sys.stderr) as process:
        try:
            _until_serving(process, start + LIMIT_S)
            return time.perf_counter() - start
        finally:
            process.terminate()


def _until_serving(process: subprocess.Popen[bytes], deadline: float) -> None:
    with grpc.insecure_channel(f"localhost:{PORT}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while time.perf_counter() < deadline and process.poll() is None:
            try:
                answer = health.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            except grpc.RpcError:
                pass  # not listening yet
            time.sleep(0.1)
    raise RuntimeError(f"the service ended, or was not ready within {LIMIT_S:g} s")
