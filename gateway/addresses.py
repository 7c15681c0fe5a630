"""Addresses of replicas: as given, or what a name stands for at this moment."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

DNS = "dns:///"

Resolve = Callable[[Sequence[str]], Awaitable[list[str]]]


async def resolved(addresses: Sequence[str]) -> list[str]:
    """`addresses`, with `dns:///name:port` replaced by every address of that name.

    A replica may have an address in each family; one family is taken, so that it counts once.
    Raises `OSError` if a name cannot be resolved.
    """
    found: list[str] = []
    for address in addresses:
        if not address.startswith(DNS):
            found.append(address)
            continue
        host, _, port = address.removeprefix(DNS).rpartition(":")
        entries = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        family = min(entry[0] for entry in entries)  # AF_INET, if there is any
        found += sorted({_address(entry[4]) for entry in entries if entry[0] == family})
    return list(dict.fromkeys(found))


def _address(where: tuple[object, ...]) -> str:
    host, port = where[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
