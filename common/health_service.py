"""Health as gRPC asks for it, by a servicer that lets its watchers go."""

import asyncio
from typing import Any

from grpc_health.v1 import health, health_pb2


class HealthService(health.aio.HealthServicer):  # type: ignore[misc]
    """A watcher never ends its call, and would hold a server that stops for all of its grace.

    Nor is it cancelled: in the middle of a message that would leave its call without an end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Event()
        """Of the next change; each has its own."""
        self._leaving = False

    async def set(self, service: str, status: int) -> None:
        self._server_status[service] = status
        self._tell()

    async def Watch(self, request: Any, context: Any) -> None:
        told = None
        while True:
            changed = self._changed  # before the status: what changes meanwhile is not missed
            unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            status = self._server_status.get(request.service, unknown)
            if status != told:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                told = status
            elif self._leaving:
                return
            else:
                await changed.wait()

    def let_watchers_go(self) -> None:
        """Tell each watcher how things are, and end its call; those to come hear it once."""
        self._leaving = True
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
