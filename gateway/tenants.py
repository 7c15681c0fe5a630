"""Who may call, and how much: a JSON file that may be replaced while the gateway runs.

{"tenants": {"studio": {"token_sha256": ["9f86d0..."], "max_songs": 8, "audio_seconds_per_hour": 36000}}}
"""

import hmac
import json
import logging
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from common.tenant import NAME
from common.tokens import DIGEST, digest_of

logger = logging.getLogger(__name__)


class TenantsError(ValueError):
    """The file of tenants is missing or malformed; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a tenant may use at most; None for no limit."""

    max_calls: int | None = None
    """Calls at a time, uploads and descriptions included."""
    max_songs: int | None = None
    """Songs at a time."""
    calls_per_minute: int | None = None
    audio_seconds_per_hour: int | None = None
    """Seconds of songs that are made."""

    def share(self, count: int) -> "Limits":
        """Of `count` equal shares, one: rounded up, so that it lets something through."""
        limits = {field.name: getattr(self, field.name) for field in fields(self)}
        return Limits(**{name: limit and -(-limit // count) for name, limit in limits.items()})


@dataclass(frozen=True, slots=True)
class Tenant:
    name: str
    digests: tuple[str, ...]
    """Of its tokens. Two allow a change of token without a gap."""
    limits: Limits


class Tenants:
    """The tenants of a file, read again when it changes. A malformed change leaves all as it was."""

    def __init__(self, path: Path) -> None:
        """Raises `TenantsError`."""
        self._path = path
        self._stamp = _stamp(path)
        self._tenants = _read(path)

    def owner_of(self, token: str) -> Tenant | None:
        """Whose token it is. Takes as long for every token that is nobody's."""
        self._follow()
        digest, owner = digest_of(token), None
        for tenant in self._tenants:
            for known in tenant.digests:
                if hmac.compare_digest(known, digest):
                    owner = tenant
        return owner

    def _follow(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._tenants = _read(self._path)
        except TenantsError as error:
            logger.error("the file of tenants changed, but the old one stays in use: %s", error)
        else:
            logger.info("the file of tenants changed: %d tenants", len(self._tenants))


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> tuple[Tenant, ...]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise TenantsError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise TenantsError(f"{path} is no JSON: {error}") from None
    entries = content.get("tenants") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or set(content) != {"tenants"}:
        raise TenantsError(f'{path} must hold {{"tenants": {{...}}}} and nothing else')
    tenants = tuple(_tenant(f"{path}: tenants.{name}", name, entry) for name, entry in entries.items())
    digests = [digest for tenant in tenants for digest in tenant.digests]
    if len(set(digests)) < len(digests):
        raise TenantsError(f"{path} lists a token twice")
    return tenants


def _tenant(where: str, name: str, entry: Any) -> Tenant:
    known = [field.name for field in fields(Limits)]
    if not NAME.fullmatch(name):
        raise TenantsError(f"{where} must be named by 1 to 64 characters of [A-Za-z0-9_-]")
    if not isinstance(entry, dict) or (unknown := set(entry) - {"token_sha256", *known}):
        surplus = f"; unknown: {', '.join(sorted(unknown))}" if isinstance(entry, dict) else ""
        raise TenantsError(f"{where} may hold token_sha256, {', '.join(known)}{surplus}")
    digests = entry.pop("token_sha256", None)
    if not isinstance(digests, list) or not all(
        isinstance(d, str) and DIGEST.fullmatch(d) for d in digests
    ):
        raise TenantsError(f"{where}.token_sha256 must be a list of digests of 64 hex digits")
    for key, value in entry.items():
        if type(value) is not int or value < 1:
            raise TenantsError(f"{where}.{key} is {value!r}; it must be a whole number of at least 1")
    return Tenant(name, tuple(digests), Limits(**entry))
