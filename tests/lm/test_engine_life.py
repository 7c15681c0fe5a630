"""The service as its supervisor sees it: a process that ends when its engine does."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from acestep.lm.v1 import lm_service_pb2 as pb
from acestep.lm.v1 import lm_service_pb2_grpc
from common.ports import free_ports_of_localhost
from common.status import from_rpc_error
from model_store.tiny import build

pytestmark = pytest.mark.engine

START_S = 240.0
SERVING = health_pb2.HealthCheckResponse.SERVING


def children(pid: int) -> dict[int, str]:
    """Command lines of the processes that `pid` started and that still run."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (path / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue  # just gone
        if int(parent) == pid and state != "Z":
            found[int(path.name)] = command
    return found


async def serving(channel: grpc.aio.Channel) -> bool:
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=2.0
        )
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == SERVING)


async def test_a_killed_engine_fails_its_calls_and_ends_the_service(tmp_path: Path) -> None:
    build(tmp_path / "models")
    address = f"localhost:{free_ports_of_localhost(1)[0]}"
    settings = {"MODELS": str(tmp_path / "models"), "ADDRESS": address, "METRICS_PORT": "0"}
    settings |= {"CPU_THREADS": "1", "KV_CACHE_GIB": "0.5", "LOG_FORMAT": "text"}
    log = (tmp_path / "log").open("w")
    service = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lm_service"),
        env={**os.environ, **{f"ACESTEP_LM_{name}": value for name, value in settings.items()}},  # noqa: TID251
        stderr=log,
    )
    log.close()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            async with asyncio.timeout(START_S):
                while not await serving(channel):
                    assert service.returncode is None, (tmp_path / "log").read_text()
                    await asyncio.sleep(0.5)
            lm = lm_service_pb2_grpc.LmServiceStub(channel)
            calls = [
                lm.GenerateCodes(pb.GenerateCodesRequest(caption="calm", duration_seconds=600.0))
                for _ in range(2)
            ]
            for call in calls:
                await call.read()

            (engine,) = [
                pid for pid, command in children(service.pid).items() if "resource_tracker" not in command
            ]
            os.kill(engine, signal.SIGKILL)
            killed = time.monotonic()

            for call in calls:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    while await call.read() is not grpc.aio.EOF:
                        pass
                error = from_rpc_error(caught.value)
                assert (caught.value.code(), error.reason) == (grpc.StatusCode.UNAVAILABLE, "ENGINE_DEAD")
                assert error.retry_after_s
            async with asyncio.timeout(20):
                while await serving(channel):
                    await asyncio.sleep(0.05)
                assert await service.wait() == 1
        assert time.monotonic() - killed < 15
        assert "the engine has died" in (tmp_path / "log").read_text()
    finally:
        if service.returncode is None:
            service.kill()
            await service.wait()
