"""Start and stop a gRPC server the same way in every service."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from common.exposure import Exposure
from common.health_service import HealthService
from common.interceptors import CallInterceptor, Enter
from common.ports import free_ports_of_localhost
from common.tls import TlsFiles, server_credentials

logger = logging.getLogger(__name__)

LIVENESS = "liveness"
"""Health name that is SERVING from start to end. Every other name says whether calls are welcome."""

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Above this gRPC itself refuses a message. Fields are checked far below, with better words."""

MESSAGES = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)
PING_ANSWER = (
    # A peer that vanishes without a word is noticed by its missing answers to pings. The last
    # option is the one that this version of gRPC waits by.
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
)
CLIENT_OPTIONS = (
    *MESSAGES,
    # A replica that stands still is given up after this and 10 s more: its songs begin anew elsewhere.
    ("grpc.keepalive_time_ms", 15_000),
    *PING_ANSWER,
)
SERVER_OPTIONS = (
    *MESSAGES,
    ("grpc.keepalive_time_ms", 30_000),
    *PING_ANSWER,
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),  # two services on one port is a mistake, not a balancing scheme
)
OPEN = Exposure()
"""No TLS, and reflection: for a network where everybody may do everything."""


class Server:
    """A started server that does not welcome calls yet."""

    def __init__(self, port: int, names: Sequence[str], health_servicer: HealthService) -> None:
        self.port = port
        self._names = ("", *names)
        self._health = health_servicer

    def welcome(self) -> None:
        """Turn health to SERVING: everything is loaded."""
        self._set(health_pb2.HealthCheckResponse.SERVING)
        logger.info("ready on port %d", self.port)

    def refuse(self) -> None:
        """Turn health to NOT_SERVING, so that balancers look elsewhere."""
        self._set(health_pb2.HealthCheckResponse.NOT_SERVING)

    def _set(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for name in self._names:
            self._health.set(name, status)


@asynccontextmanager
async def serving(
    address: str,
    register: Callable[[grpc.aio.Server], None],
    service_names: Sequence[str],
    grace_s: float = 30.0,
    caller_patience_s: float = 60.0,
    exposure: Exposure = OPEN,
    enter: Enter | None = None,
) -> AsyncIterator[Server]:
    """Serve inside the block; port 0 asks for a free one.

    Health is NOT_SERVING until `Server.welcome`, liveness is SERVING at once. On leaving,
    health turns NOT_SERVING first, then calls in flight get `grace_s` seconds to finish. A call
    whose client takes no message, or sends none, for `caller_patience_s` is ended. With `enter`, calls
    must be let in.
    Raises `OSError` if an address cannot be bound, and `TlsError` if a TLS file is not in order.
    """
    logging.getLogger("grpc._cython.cygrpc").addFilter(_is_news)
    server = grpc.aio.server(
        interceptors=[CallInterceptor(caller_patience_s, enter)], options=SERVER_OPTIONS
    )
    register(server)
    health_servicer = HealthService()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if exposure.reflection:
        reflection.enable_server_reflection(
            (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME), server
        )
    port = _listen(server, address, exposure.server_tls)
    started = Server(port, service_names, health_servicer)
    started.refuse()
    health_servicer.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
    async with AsyncExitStack() as probes:
        if exposure.health_address is not None:
            await probes.enter_async_context(_health_alone(exposure.health_address, health_servicer))
        await server.start()
        logger.info("listening on port %d%s, loading", port, " with TLS" if exposure.server_tls else "")
        try:
            yield started
        finally:
            started.refuse()
            health_servicer.let_watchers_go()
            await server.stop(grace_s)
            logger.info("stopped")


def _is_news(record: logging.LogRecord) -> bool:
    """Not that a message could not be sent (as grpcio 1.85 puts it): its caller has left.

    The call's own line tells so.
    """
    return not record.getMessage().startswith("ExecuteBatchError raised in core by servicer method")


def _listen(server: grpc.aio.Server, address: str, tls: TlsFiles | None) -> int:
    if address == "localhost:0":
        address = f"localhost:{free_ports_of_localhost(1)[0]}"
    credentials = None if tls is None else server_credentials(tls)
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:  # what grpc raises if the address is taken or malformed
        raise OSError(f"cannot listen on {address}: {error}") from None


@asynccontextmanager
async def _health_alone(address: str, servicer: HealthService) -> AsyncIterator[None]:
    """Answer health at a second address, and nothing else."""
    server = grpc.aio.server(options=SERVER_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    _listen(server, address, tls=None)
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


async def until_signalled() -> None:
    """Return at the first SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    await stop.wait()
