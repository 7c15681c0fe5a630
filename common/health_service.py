"""Health as gRPC asks for it, by a servicer that lets its watchers go."""

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """In the library's own a slow watcher holds up changes, and every watcher a server that stops.

    Here a watcher ends by itself when told to. It is not cancelled: in the middle of a message that would
    leave its call without an end. One that reads nothing at all holds a stop for the server's grace.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self._changed = asyncio.Event()
        """Of the next change; each has its own."""
        self._leaving = False

    def set(self, service: str, status: int) -> None:
        self._statuses[service] = status
        self._tell()

    async def Check(self, request: Any, context: Any) -> Any:
        if (status := self._statuses.get(request.service)) is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service[:64]!r} here")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(self, request: Any, context: Any) -> None:
        told = None
        while True:
            changed = self._changed  # before the status: what changes meanwhile is not missed
            status = self._statuses.get(request.service, UNKNOWN)
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
