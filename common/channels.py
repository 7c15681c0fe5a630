"""Channels to other services: plain, or over TLS with files that may be replaced."""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from common.tls import TlsFiles, Watched, client_credentials

Options = Sequence[tuple[str, Any]]
LAST_CALLS_S = 3600.0
"""How long calls may go on over a connection that was made with files since replaced."""


def open_channel(address: str, tls: TlsFiles | None, options: Options) -> grpc.aio.Channel:
    """A channel to `address`, to be used with `async with`. Raises `TlsError`."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options)
    return FreshChannel(address, tls, options)


class FreshChannel(grpc.aio.Channel):
    """Connects anew when its files have changed. Calls that run then end over the old connection."""

    def __init__(self, address: str, tls: TlsFiles, options: Options) -> None:
        self._address = address
        self._options = options
        self._watched = Watched(tls, "client")
        self._channel = self._open()
        self._closing: set[asyncio.Task[None]] = set()

    def _open(self) -> grpc.aio.Channel:
        credentials = client_credentials(self._watched.material)
        return grpc.aio.secure_channel(self._address, credentials, self._options)

    def _fresh(self) -> grpc.aio.Channel:
        if self._watched.refreshed() is not None:
            old, self._channel = self._channel, self._open()
            task = asyncio.get_running_loop().create_task(old.close(LAST_CALLS_S))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return self._channel

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        for task in self._closing:
            task.cancel()
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    def unary_unary(self, *given: Any, **named: Any) -> Any:
        return self._method("unary_unary", given, named)

    def unary_stream(self, *given: Any, **named: Any) -> Any:
        return self._method("unary_stream", given, named)

    def stream_unary(self, *given: Any, **named: Any) -> Any:
        return self._method("stream_unary", given, named)

    def stream_stream(self, *given: Any, **named: Any) -> Any:
        return self._method("stream_stream", given, named)

    def _method(self, arity: str, given: tuple[Any, ...], named: dict[str, Any]) -> Callable[..., Any]:
        """Calls the method over the connection that is right at that moment."""

        def call(*arguments: Any, **options: Any) -> Any:
            return getattr(self._fresh(), arity)(*given, **named)(*arguments, **options)

        return call
