"""TLS from files that may be replaced while the process runs."""

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client import Gauge

logger = logging.getLogger(__name__)

CERTIFICATE_EXPIRY = Gauge(
    "acestep_tls_certificate_expiry_timestamp_seconds",
    "When the certificate in use ends, in seconds since 1970, by the side it is shown on.",
    ["side"],
)


class TlsError(ValueError):
    """A TLS file is missing, malformed, expired or does not fit another; the message names it."""


@dataclass(frozen=True, slots=True)
class Material:
    """What the files held when they were in order."""

    ca: bytes | None
    certificate: bytes | None
    key: bytes | None
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of one side of a connection."""

    ca: Path | None = None
    """Whom to trust. Of a server: the CA of its clients, which then need a certificate."""
    certificate: Path | None = None
    """Our own, followed by its intermediates."""
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise TlsError("a TLS certificate and its key must be given together")

    def read(self) -> Material:
        """Raises `TlsError`."""
        ca = None if self.ca is None else _bytes(self.ca)
        if self.ca is not None and ca is not None:
            _certificates(self.ca, ca)
        if self.certificate is None or self.key is None:
            return Material(ca, None, None, None)
        chain, key = _bytes(self.certificate), _bytes(self.key)
        own = _certificates(self.certificate, chain)[0]
        _check_dates(self.certificate, own)
        _check_pair(self.certificate, own, self.key, key)
        return Material(ca, chain, key, own.not_valid_after_utc)

    def stamps(self) -> tuple[object, ...]:
        """Differs when a file was replaced, or a link on the way to it."""
        return tuple(_stamp(path) for path in (self.ca, self.certificate, self.key) if path is not None)


class Watched:
    """Files that are read again when they change. What is not in order is not taken: the old stays."""

    def __init__(self, files: TlsFiles, side: str) -> None:
        """Raises `TlsError`."""
        self._files = files
        self._side = side
        self._lock = threading.Lock()  # gRPC asks from threads of its own
        self._stamps = files.stamps()
        self.material = files.read()
        self._note_expiry()

    def refreshed(self) -> Material | None:
        """New content, if there is any; None if all is as it was."""
        with self._lock:
            stamps = self._files.stamps()
            if stamps == self._stamps:
                return None
            self._stamps = stamps
            try:
                self.material = self._files.read()
            except TlsError as error:
                logger.warning("TLS files changed, but the old ones stay in use: %s", error)
                return None
            self._note_expiry()
            logger.info("TLS files changed, and are in use from now on (%s side)", self._side)
            return self.material

    def _note_expiry(self) -> None:
        if self.material.expires is not None:
            CERTIFICATE_EXPIRY.labels(self._side).set(self.material.expires.timestamp())


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials that follow the files. With a CA, clients must show a certificate of it.

    Raises `TlsError` if the files are not in order now.
    """
    if files.certificate is None:
        raise TlsError("a CA for clients needs a TLS certificate and a key of the server")
    watched = Watched(files, "server")

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        material = watched.refreshed()
        return None if material is None else _configuration(material)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(watched.material),
        fetch,  # type: ignore[arg-type]  # the stubs do not know that None keeps what there is
        require_client_authentication=files.ca is not None,
    )


def client_credentials(material: Material) -> grpc.ChannelCredentials:
    """Without a CA, the ones that gRPC brings are trusted."""
    return grpc.ssl_channel_credentials(material.ca, material.key, material.certificate)


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    assert material.key is not None and material.certificate is not None
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], root_certificates=material.ca
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"TLS file {path}: {error.strerror}") from None


def _certificates(path: Path, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise TlsError(f"TLS file {path} holds no PEM certificate") from None


def _check_dates(path: Path, certificate: x509.Certificate) -> None:
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc <= now:
        raise TlsError(f"TLS certificate {path} expired at {certificate.not_valid_after_utc:%F %T} UTC")
    if certificate.not_valid_before_utc > now:
        raise TlsError(
            f"TLS certificate {path} is not valid before {certificate.not_valid_before_utc:%F %T} UTC"
        )


def _check_pair(certificate_path: Path, certificate: x509.Certificate, key_path: Path, pem: bytes) -> None:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it needs a password
        raise TlsError(f"TLS file {key_path} holds no PEM private key without a password") from None
    if key.public_key() != certificate.public_key():
        raise TlsError(f"TLS key {key_path} is not that of the certificate {certificate_path}")


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
