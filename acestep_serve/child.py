"""One service as a child process: start it, ask whether it serves, stop it with all it started."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

RECONNECT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000))
ASK_EVERY_S = 0.2
ANSWER_WITHIN_S = 5.0
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Service:
    """How a service is started: `python -m MODULE` with settings in its environment."""

    name: str
    module: str
    address: str
    environment: Mapping[str, str]
    log: Path
    health_address: str = ""
    """Where it is asked for its health, if not where it listens."""


def _die_with_parent() -> None:
    """Have the kernel send SIGTERM when the supervisor is gone, even if it was killed (`man prctl`)."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """A started service. It leads a process group of its own, so a Ctrl-C at the terminal is ours alone."""

    def __init__(self, service: Service, process: asyncio.subprocess.Process) -> None:
        self._service = service
        self._process = process

    @classmethod
    async def start(cls, service: Service) -> "Child":
        """Output goes to the end of the service's log."""
        inherited = dict(os.environ)  # noqa: TID251 - passed on to the service, not read here
        with service.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", service.module),
                env=inherited | dict(service.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        return cls(service, process)

    @property
    def pid(self) -> int:
        """Of the process, and of the group that it leads."""
        return self._process.pid

    async def serving(self) -> None:
        """Return once the service's health is SERVING; wait as long as it takes."""
        where = self._service.health_address or self._service.address
        async with grpc.aio.insecure_channel(where, options=RECONNECT) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while not await self._answers_serving(stub):
                await asyncio.sleep(ASK_EVERY_S)

    @staticmethod
    async def _answers_serving(stub: health_pb2_grpc.HealthStub) -> bool:
        try:
            answer = await stub.Check(
                health_pb2.HealthCheckRequest(), timeout=ANSWER_WITHIN_S, wait_for_ready=True
            )
        except grpc.aio.AioRpcError:  # not there yet, or just gone
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def exited(self) -> str:
        """Wait for the end of the process; how it ended, in words. What it started ends with it."""
        code = await self._process.wait()
        self._signal_group(signal.SIGKILL)
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    async def stop(self, grace_s: float, hurry: asyncio.Event) -> None:
        """Ask the service to end, and kill its whole group after `grace_s`, or when `hurry` is set."""
        if self._process.returncode is None:
            self._process.terminate()
            ends = [asyncio.create_task(self._process.wait()), asyncio.create_task(hurry.wait())]
            await asyncio.wait(ends, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
            for task in ends:
                task.cancel()
        self._signal_group(signal.SIGKILL)
        await self._process.wait()

    def _signal_group(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # nobody is left
            os.killpg(self._process.pid, signum)
