"""Start and stop a gRPC server the same way in every service."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from common.interceptors import CallInterceptor

logger = logging.getLogger(__name__)

LIVENESS = "liveness"
"""Health name that is SERVING from start to end. Every other name says whether calls are welcome."""

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Above this gRPC itself refuses a message. Fields are checked far below, with better words."""

KEEPALIVE = (
    # A peer that vanishes without a word is noticed by its missing answers to pings. The last
    # option is the one that this version of gRPC waits by.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
)
CLIENT_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    *KEEPALIVE,
)
SERVER_OPTIONS = (
    *CLIENT_OPTIONS,
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),  # two services on one port is a mistake, not a balancing scheme
)


class Server:
    """A started server that does not welcome calls yet."""

    def __init__(self, port: int, names: Sequence[str], health_servicer: health.aio.HealthServicer) -> None:
        self.port = port
        self._names = ("", *names)
        self._health = health_servicer

    async def welcome(self) -> None:
        """Turn health to SERVING: everything is loaded."""
        await self._set(health_pb2.HealthCheckResponse.SERVING)
        logger.info("ready on port %d", self.port)

    async def refuse(self) -> None:
        """Turn health to NOT_SERVING, so that balancers look elsewhere."""
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)

    async def _set(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for name in self._names:
            await self._health.set(name, status)


@asynccontextmanager
async def serving(
    address: str,
    register: Callable[[grpc.aio.Server], None],
    service_names: Sequence[str],
    grace_s: float = 30.0,
    reader_patience_s: float = 60.0,
) -> AsyncIterator[Server]:
    """Serve inside the block; port 0 asks for a free one.

    Health is NOT_SERVING until `Server.welcome`, liveness is SERVING at once. On leaving,
    health turns NOT_SERVING first, then calls in flight get `grace_s` seconds to finish. A stream
    whose client takes no message for `reader_patience_s` is cancelled.
    Raises `OSError` if the address cannot be bound.
    """
    server = grpc.aio.server(interceptors=[CallInterceptor(reader_patience_s)], options=SERVER_OPTIONS)
    register(server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection(
        (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:  # what grpc raises if the address is taken or malformed
        raise OSError(f"cannot listen on {address}: {error}") from None
    started = Server(port, service_names, health_servicer)
    await started.refuse()
    await health_servicer.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
    await server.start()
    logger.info("listening on port %d, loading", port)
    try:
        yield started
    finally:
        await started.refuse()
        await server.stop(grace_s)
        logger.info("stopped")


async def until_signalled() -> None:
    """Return at the first SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    await stop.wait()
