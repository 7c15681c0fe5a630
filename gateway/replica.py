"""One process of a stage: its channel, its health, and how much it has to do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.metrics import REPLICA_ADMITTED, REPLICA_WORK

logger = logging.getLogger(__name__)

Stub = TypeVar("Stub")

RECHECK_S = 0.5
"""Pause before a replica that failed, or is not what it should be, is looked at again."""

RETIRE_S = 1200.0
"""How long calls to a replica that DNS no longer names may go on."""


class Replica(Generic[Stub]):
    """Admitted while its health is SERVING and it has what the others have."""

    def __init__(self, stage: str, address: str, channel: grpc.aio.Channel, stub: Stub) -> None:
        self.address = address
        self.stub = stub
        self.admitted = False
        self.room = 0
        """How much it can have to do at once."""
        self.room_aside = 0
        """How many calls it can have besides, whose work is done."""
        self.work_s = 0.0
        """Seconds of song that it is asked for at this moment."""
        self.last_turn = 0
        self._stage = stage
        self._channel = channel
        self._changed: Callable[[], None] = lambda: None
        self._watching: Any = None
        self._watcher: asyncio.Task[None] | None = None
        REPLICA_ADMITTED.labels(stage, address).set(0)

    def start(
        self, service: str, check: Callable[[], Awaitable[bool]], changed: Callable[[], None]
    ) -> None:
        """Follow its health until `close`.

        When it serves, `check` is asked whether it may be admitted; `changed` hears if it is or is not.
        """
        self._changed = changed
        self._watcher = asyncio.create_task(self._watch(service, check))

    async def close(self, grace_s: float | None = None) -> None:
        if self.admitted:
            logger.info("%s replica %s is left", self._stage, self.address)
            self._set(False)
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        # Before its calls end, which may take long: the same address may come back meanwhile.
        for gauge in (REPLICA_ADMITTED, REPLICA_WORK):
            gauge.remove_by_labels({"stage": self._stage, "replica": self.address})
        await self._channel.close(grace_s)

    @contextmanager
    def working(self, work_s: float) -> Iterator[None]:
        gauge = REPLICA_WORK.labels(self._stage, self.address)
        self.work_s += work_s
        gauge.set(self.work_s)
        try:
            yield
        finally:
            self.work_s -= work_s
            gauge.set(self.work_s)

    def suspect(self) -> None:
        """A call to it failed: ask nothing of it until it has said anew that it serves."""
        self._admit(False)
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self, service: str, check: Callable[[], Awaitable[bool]]) -> None:
        health = health_pb2_grpc.HealthStub(self._channel)
        while True:
            self._watching = health.Watch(
                health_pb2.HealthCheckRequest(service=service), wait_for_ready=True
            )
            try:
                async for answer in self._watching:
                    serves = answer.status == health_pb2.HealthCheckResponse.SERVING
                    self._admit(serves and await check())
                    if serves and not self.admitted:
                        break
            except grpc.aio.AioRpcError as error:
                logger.info("%s replica %s is gone: %s", self._stage, self.address, error.code().name)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                if self.admitted:  # its connection was replaced; else `suspect` cancelled the call
                    continue
            finally:
                self._watching.cancel()
            self._admit(False)
            await asyncio.sleep(RECHECK_S)

    def _admit(self, admitted: bool) -> None:
        if admitted == self.admitted:
            return
        if admitted:
            logger.info("%s replica %s is admitted", self._stage, self.address)
        else:
            logger.warning("%s replica %s is ejected", self._stage, self.address)
        self._set(admitted)

    def _set(self, admitted: bool) -> None:
        self.admitted = admitted
        REPLICA_ADMITTED.labels(self._stage, self.address).set(admitted)
        self._changed()
