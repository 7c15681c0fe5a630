"""Where the models live: a gateway, named by an argument or by the environment."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from acestep.client import SyncClient, Tls
from acestep.client.channel import Terms, warn_if_exposed
from acestep.client.synchronous import open_channel
from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.upstream.problems import explained

logger = logging.getLogger("acestep")

DEFAULT_ADDRESS = "localhost:50050"
ADDRESS, TOKEN, USE_TLS = "ACESTEP_ADDRESS", "ACESTEP_TOKEN", "ACESTEP_TLS"
TLS_CA, TLS_CERTIFICATE, TLS_KEY = "ACESTEP_TLS_CA", "ACESTEP_TLS_CERTIFICATE", "ACESTEP_TLS_KEY"


class NotServed(ValueError):
    """The gateway does not have the named model."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that has answered."""

    address: str
    client: SyncClient
    offered: pb.GetCapabilitiesResponse


def reach(address: str | None) -> Gateway:
    """Connect. Raises `ServiceError`, and `OSError` or `ValueError` for TLS files that are not in order."""
    where = address or os.environ.get(ADDRESS) or DEFAULT_ADDRESS
    tls, token = _tls(os.environ), os.environ.get(TOKEN, "")
    warn_if_exposed(where, tls, token)
    client = SyncClient(open_channel(where, tls), Terms(token))
    return Gateway(where, client, client.capabilities())


def initialized(find: Callable[[], str], ignored: Mapping[str, object]) -> tuple[str, bool]:
    """What `find` says of the model that it found, or why there is none; never raises.

    `ignored` are the arguments that mean nothing here, as the models live elsewhere.
    """
    try:
        status = find()
    except Exception as error:  # noqa: BLE001 - upstream promises that nothing is raised
        status = explained(error)
        logger.warning("%s", status)  # what is returned many programs do not look at
        return status, False
    if ignored:
        told = ", ".join(f"{name}={value!r}" for name, value in ignored.items())
        status += f"\nIgnored, as models live on the server: {told}"
    logger.info("%s", status)
    return status, True


def served(kind: str, path: str | None, names: Sequence[str], address: str) -> str:
    """The name in `path`, or the default for none. Raises `NotServed`."""
    name = Path(path).name if path else ""
    if name in names:
        return name
    if not name and names:
        return names[0]
    have = f"served are {', '.join(names)}" if names else "none is ready"
    raise NotServed(f"The {kind} {name!r} is not served at {address}: {have}.")


def _tls(environment: Mapping[str, str]) -> Tls | None:
    ca, certificate, key = (environment.get(name) for name in (TLS_CA, TLS_CERTIFICATE, TLS_KEY))
    files = Tls(*(Path(name) if name else None for name in (ca, certificate, key)))
    wanted = environment.get(USE_TLS, "").lower() in ("1", "true", "yes", "on")
    return files if wanted or files != Tls() else None
