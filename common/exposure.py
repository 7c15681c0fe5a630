"""Who can reach a service, and what it tells of itself: settings that every service has."""

from dataclasses import dataclass
from pathlib import Path

from common.tls import TlsFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    tls_certificate: Path | None = None
    """PEM certificate to show to clients, intermediates after it; none: no TLS. Read when it changes."""

    tls_key: Path | None = None
    """PEM key of the certificate, without a password."""

    tls_client_ca: Path | None = None
    """PEM certificates of the CA that clients need a certificate of; none: any client may connect."""

    health_address: str | None = None
    """Where health is answered besides, without TLS, for probes that know none, as those of Kubernetes."""

    reflection: bool = True
    """Whether the server describes its methods to whoever asks; `false` for a public door."""

    otlp_endpoint: str | None = None
    """Collector of OpenTelemetry that spans are sent to, as `http://collector:4317`; none: no spans."""

    trace_ratio: float = 1.0
    """Share of the traces that begin here of which spans are sent; those of callers are followed."""

    @property
    def server_tls(self) -> TlsFiles | None:
        """Raises `TlsError` if only a part of what TLS needs is given."""
        files = TlsFiles(self.tls_client_ca, self.tls_certificate, self.tls_key)
        return None if files == TlsFiles() else files
