"""Hosts on one machine: network namespaces, and cables between them that delay, lose, or are cut.

A cable is two TUN devices and a thread that carries packets from one to the other, so it needs no
`netem` in the kernel; it needs root, `ip` and `/dev/net/tun`. A packet that a cut cable swallows is
answered by nothing, as when a host has lost its power.
"""

import fcntl
import heapq
import os
import selectors
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.faults.finding import NotHere

TUN = Path("/dev/net/tun")
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
NET = "10.217"
MTU = 9000
IDLE_S = 0.05


def available() -> str:
    """Why there can be no such hosts here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no `ip` command"
    return "" if os.access(TUN, os.R_OK | os.W_OK) else f"{TUN} cannot be opened"


@dataclass(slots=True)
class Cable:
    """Between two hosts. Its fields may be changed while packets are under way."""

    ends: tuple[int, int]
    delay_s: float = 0.0
    """Of each packet, each way."""
    is_cut: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)

    def carry(self) -> None:
        """Until `unplug`."""
        order, underway = count(), list[tuple[float, int, int, bytes]]()
        with selectors.DefaultSelector() as ready:
            for end, other in (self.ends, self.ends[::-1]):
                os.set_blocking(end, False)
                ready.register(end, selectors.EVENT_READ, other)
            while not self._stop.is_set():
                wait_s = max(0.0, underway[0][0] - time.monotonic()) if underway else IDLE_S
                for key, _ in ready.select(min(wait_s, IDLE_S)):
                    with suppress(BlockingIOError):
                        while packet := os.read(key.fd, MTU + 100):
                            arrives = time.monotonic() + self.delay_s
                            heapq.heappush(underway, (arrives, next(order), key.data, packet))
                while underway and underway[0][0] <= time.monotonic():
                    _, _, end, packet = heapq.heappop(underway)
                    if not self.is_cut:
                        with suppress(BlockingIOError):  # a full queue loses packets, as any does
                            os.write(end, packet)

    def unplug(self) -> None:
        self._stop.set()


@dataclass(frozen=True, slots=True)
class Hosts:
    """Hosts around one in the middle; that of the callers is this process's own."""

    prefixes: dict[str, Sequence[str]]
    """What runs a command on a host."""
    addresses: dict[str, str]
    cables: dict[str, Cable]
    """From each host to the one in the middle."""


@contextmanager
def hosts(middle: str, others: Sequence[str], callers: str) -> Iterator[Hosts]:
    """Raises `NotHere` if there can be none here. Nothing is left behind."""
    if reason := available():
        raise NotHere(reason)
    with ExitStack() as after:
        try:
            laid = _lay(after, middle, others, callers)
        except (OSError, subprocess.CalledProcessError) as error:  # root of a container, perhaps
            raise NotHere(f"no hosts can be made: {error}") from None
        yield laid


def _lay(after: ExitStack, middle: str, others: Sequence[str], callers: str) -> Hosts:
    tag = f"ace{os.getpid()}"
    spaces = {name: f"{tag}-{name}" for name in (middle, *others)}
    for space in spaces.values():
        _ip("netns", "add", space)
        after.callback(_ip, "netns", "del", space)
        _ip("-n", space, "link", "set", "lo", "up")
    # One address for the middle, whatever cable it is reached by.
    _ip("-n", spaces[middle], "addr", "add", f"{NET}.0.1/32", "dev", "lo")
    _ip("netns", "exec", spaces[middle], "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    addresses, cables = {middle: f"{NET}.0.1"}, dict[str, Cable]()
    for number, name in enumerate((*others, callers), start=1):
        addresses[name] = f"{NET}.{number}.2"
        device = f"ace{os.getpid() % 10_000}{number}"
        cables[name] = _cable(device, number, spaces[middle], spaces.get(name))
        after.callback(_remove, cables[name], _carrying(cables[name]))
    prefixes: dict[str, Sequence[str]] = {
        name: ("ip", "netns", "exec", space) for name, space in spaces.items()
    }
    return Hosts(prefixes, addresses, cables)


def _cable(device: str, number: int, middle: str, other: str | None) -> Cable:
    ends = _end(f"{device}a"), _end(f"{device}b")
    ours, theirs = f"{NET}.{number}.1", f"{NET}.{number}.2"
    _address(f"{device}a", middle, ours, theirs)
    _address(f"{device}b", other, theirs, ours)
    # All others are reached by way of the middle, so that whoever starts them can ask whether they serve.
    inside = () if other is None else ("-n", other)
    _ip(*inside, "route", "add", f"{NET}.0.0/16", "via", ours, "src", theirs)
    return Cable(ends)


def _end(device: str) -> int:
    end = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI))
    return end


def _address(device: str, space: str | None, own: str, peer: str) -> None:
    inside = () if space is None else ("-n", space)
    if space is not None:
        _ip("link", "set", device, "netns", space)
    _ip(*inside, "addr", "add", own, "peer", peer, "dev", device)
    _ip(*inside, "link", "set", device, "mtu", str(MTU), "up")


def _carrying(cable: Cable) -> threading.Thread:
    thread = threading.Thread(target=cable.carry, daemon=True)
    thread.start()
    return thread


def _remove(cable: Cable, thread: threading.Thread) -> None:
    cable.unplug()
    thread.join()
    for end in cable.ends:
        os.close(end)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
