"""Ports of this machine."""

import errno
import socket

PORTS_TRIED = 100


def free_port_of_localhost() -> int:
    """One that is free at both of its addresses. Raises `OSError` if there is none.

    gRPC is content with either: who calls the other one would reach somebody else.
    """
    for _ in range(PORTS_TRIED):
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            if not is_taken_at_ipv6(port):
                return port
    raise OSError("no port is free at both addresses of localhost")


def is_taken_at_ipv6(port: int) -> bool:
    """Whether somebody has it there; not where there is no IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as second:
            second.bind(("::1", port))
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False
