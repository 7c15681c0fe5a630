"""Keep services running: start them together, restart one that dies, stop them in order."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from acestep_serve.child import Child, Service

LOG_TAIL_LINES = 20


class State(Enum):
    """Where a service is in its life."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Watcher(Protocol):
    """Is told of every change."""

    def changed(self, name: str, state: State, detail: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient the supervisor is."""

    ready_s: float = 600.0
    """All services must serve within this time of the start."""
    grace_s: float = 35.0
    """Above what the services give to calls in flight."""
    backoff_s: float = 1.0
    """Pause before the first restart; it doubles with each quick death."""
    settled_s: float = 30.0
    """A death earlier than this after getting ready is a quick one."""
    quick_deaths: int = 3
    """So many in a row are the end."""


class ServiceFailedError(Exception):
    """A service cannot be kept running; the message holds the end of its log."""


class Supervisor:
    """Runs `services`. They are started together, and stopped in the order given."""

    def __init__(self, services: Sequence[Service], watcher: Watcher, timing: Timing) -> None:
        self._keepers = [_Keeper(service, watcher, timing) for service in services]
        self._timing = timing
        self._hurry = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def interrupt(self) -> None:
        """Stop the services; if they are being stopped already, kill them."""
        if self._running is None:
            self._hurry.set()
        else:
            self._running.cancel()
            self._running = None

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Run until interrupted; `on_ready` is called once, when all serve. Leaves no process behind.

        Raises `CancelledError` if interrupted, and `ServiceFailedError` when a service died too
        often or was not ready in time.
        """
        self._running = asyncio.current_task()
        try:
            async with asyncio.TaskGroup() as group:
                for keeper in self._keepers:
                    group.create_task(keeper.keep())
                await self._all_ready()
                on_ready()
        except* ServiceFailedError as failed:
            raise failed.exceptions[0] from None
        finally:
            self._running = None
            for keeper in self._keepers:
                await keeper.stop(self._hurry)

    async def _all_ready(self) -> None:
        try:
            async with asyncio.timeout(self._timing.ready_s):
                for keeper in self._keepers:
                    await keeper.ready.wait()
        except TimeoutError:
            late = next(keeper for keeper in self._keepers if not keeper.ready.is_set())
            raise late.failed(f"was not ready within {self._timing.ready_s:g} s") from None


class _Keeper:
    """One service and its present process."""

    def __init__(self, service: Service, watcher: Watcher, timing: Timing) -> None:
        self.ready = asyncio.Event()
        self._service = service
        self._watcher = watcher
        self._timing = timing
        self._child: Child | None = None

    async def keep(self) -> None:
        """Run the service again and again. Raises `ServiceFailedError` after too many quick deaths."""
        deaths = 0
        self._service.log.unlink(missing_ok=True)
        self._watcher.changed(self._service.name, State.STARTING)
        while True:
            settled, ending = await self._live()
            deaths = 1 if settled else deaths + 1
            if deaths == self._timing.quick_deaths:
                raise self.failed(f"died {deaths} times in a row, last with {ending}")
            pause_s = self._timing.backoff_s * 2 ** (deaths - 1)
            self._watcher.changed(
                self._service.name, State.RESTARTING, f"died with {ending}, again in {pause_s:g} s"
            )
            await asyncio.sleep(pause_s)

    async def _live(self) -> tuple[bool, str]:
        """One life of the service: whether it lasted, and how it ended."""
        clock = asyncio.get_running_loop().time
        child = await self._start()
        serving = asyncio.create_task(child.serving())
        exited = asyncio.create_task(child.exited())
        ready_at = float("inf")
        try:
            await asyncio.wait((serving, exited), return_when=asyncio.FIRST_COMPLETED)
            if not exited.done():
                ready_at = clock()
                self._watcher.changed(self._service.name, State.READY)
                self.ready.set()
            ending = await exited
        finally:
            serving.cancel()
            exited.cancel()
        return clock() - ready_at >= self._timing.settled_s, ending

    async def _start(self) -> Child:
        """Cancelled half way, a process must not be left that nobody knows of."""
        starting = asyncio.create_task(Child.start(self._service))
        try:
            await asyncio.shield(starting)
        finally:
            self._child = await starting
        return self._child

    async def stop(self, hurry: asyncio.Event) -> None:
        if self._child is not None:
            self._watcher.changed(self._service.name, State.STOPPING)
            await self._child.stop(self._timing.grace_s, hurry)
            self._watcher.changed(self._service.name, State.STOPPED)

    def failed(self, what: str) -> ServiceFailedError:
        tail = _tail(self._service.log)
        return ServiceFailedError(
            f"{self._service.name} {what}; the end of {self._service.log}:\n{tail or '(empty)'}"
        )


def _tail(log: Path) -> str:
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
