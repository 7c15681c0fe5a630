"""How a gateway is reached: TLS, a token, deadlines, and what is tried again."""

import ipaddress
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from acestep.gateway.v1 import music_service_pb2 as pb

RETRY_POLICY = {
    "methodConfig": [
        {
            "name": [{"service": pb.DESCRIPTOR.services_by_name["MusicService"].full_name}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
"""gRPC tries again only calls to which nothing was answered yet; not before the time a server names."""

logger = logging.getLogger(__name__)

CHANNEL_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # the one that this version of gRPC waits by
    ("grpc.service_config", json.dumps(RETRY_POLICY)),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """Files, in PEM, for a connection over TLS."""

    root_certificates: Path | None = None
    """Whom to trust; None for the certificate authorities that gRPC knows."""
    certificate: Path | None = None
    """Our own certificate, for gateways that ask for one; with its key."""
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises `OSError` for a file that cannot be read, `ValueError` for half a pair."""
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a client certificate and its key must be given together")
        files = (self.root_certificates, self.key, self.certificate)
        roots, key, chain = (None if path is None else path.read_bytes() for path in files)
        return grpc.ssl_channel_credentials(roots, key, chain)


@dataclass(frozen=True, slots=True)
class Terms:
    """What every call of a client carries."""

    token: str = ""
    timeout_s: float | None = None
    """Deadline of calls that name none."""

    def deadline(self, timeout_s: float | None) -> "Deadline":
        wanted = self.timeout_s if timeout_s is None else timeout_s
        return Deadline(None if wanted is None else time.monotonic() + wanted, self.token)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of one piece of work, however many calls it takes."""

    at: float | None
    token: str

    def call(self) -> dict[str, Any]:
        """The arguments of the next call."""
        left = None if self.at is None else max(0.0, self.at - time.monotonic())
        metadata = (("authorization", f"Bearer {self.token}"),) if self.token else None
        return {"timeout": left, "metadata": metadata}


def warn_if_exposed(address: str, tls: Tls | None, token: str) -> None:
    """Log it if a token would cross a network in the clear."""
    if token and tls is None and not on_this_machine(address):
        logger.warning("the token can be read on its way to %s: the connection has no TLS", address)


def on_this_machine(address: str) -> bool:
    """Whether what is sent to `address` stays here."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    target = address.rpartition("/")[2]  # of dns:///localhost:50050
    host = target.rpartition(":")[0].strip("[]") or target
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost" or host.endswith(".localhost")
