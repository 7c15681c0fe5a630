"""Health as gRPC asks for it, by a servicer that lets its watchers go."""

import asyncio
from typing import Any

from grpc_health.v1 import health


class HealthService(health.aio.HealthServicer):  # type: ignore[misc]
    """A watcher never ends its call, and would hold a server that stops for all of its grace."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: set[asyncio.Task[None]] = set()
        self._leaving = False

    async def Watch(self, request: Any, context: Any) -> None:
        if not self._leaving:
            watching = asyncio.ensure_future(super().Watch(request, context))
            self._watchers.add(watching)
            try:
                await watching
            except asyncio.CancelledError:
                if not self._leaving:
                    raise  # it was the watcher who ended it
            finally:
                self._watchers.discard(watching)
        await context.write(await self.Check(request, context))

    def let_watchers_go(self) -> None:
        """Tell each watcher how things are, and end its call; those to come hear it once."""
        self._leaving = True
        for watching in self._watchers:
            watching.cancel()
