"""Ports of this machine."""

import errno
import socket
from contextlib import ExitStack

PORTS_TRIED = 100


def free_ports_of_localhost(count: int) -> list[int]:
    """So many that are free at both of its addresses. Raises `OSError` if there are none.

    gRPC is content with either: who calls the other one would reach somebody else.
    """
    free = list[int]()
    with ExitStack() as held:  # until all are found, or one would come twice
        for _ in range(PORTS_TRIED + count):
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            if not is_taken_at_ipv6(port):
                free.append(port)
            if len(free) == count:
                return free
    raise OSError("no ports are free at both addresses of localhost")


def is_taken_at_ipv6(port: int) -> bool:
    """Whether somebody has it there; not where there is no IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", port))
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False
