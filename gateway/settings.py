"""Everything an operator can set, in one place. Environment: `ACESTEP_GATEWAY_*`."""

from dataclasses import dataclass, fields
from pathlib import Path

from common.exposure import Exposure
from common.telemetry import LogFormat
from common.tls import TlsFiles
from gateway.addresses import DNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Exposure):
    address: str = "0.0.0.0:50050"
    """Where to listen, as gRPC spells it."""

    lm_address: tuple[str, ...] = ("127.0.0.1:50051",)
    """Replicas of the language model service, comma separated. `dns:///name:port` stands for
    every address of the name, looked up again every 10 s."""

    dit_address: tuple[str, ...] = ("127.0.0.1:50052",)
    """Replicas of the diffusion service, likewise."""

    stage_tls_ca: Path | None = None
    """PEM certificates of the CA that the stages' certificates are of; none: no TLS to the stages."""

    stage_tls_certificate: Path | None = None
    """PEM certificate to show to the stages; read again when it changes."""

    stage_tls_key: Path | None = None
    """PEM key of that certificate, without a password."""

    stage_tls_name: str | None = None
    """Name that the stages' certificates are for. None: that of the address, which is a number for every
    address that `dns:///` stands for."""

    metrics_host: str = "0.0.0.0"
    """Address that the metrics are served on."""

    metrics_port: int = 9050
    """Port of the Prometheus metrics; 0 serves none."""

    tenants: Path | None = None
    """JSON file of who may call, by tokens, and how much; read when it changes. None: anybody, anything."""

    quota_shares: int = 1
    """Gateways among which each tenant's limits are divided, rounded up. 1: each grants the whole."""

    max_songs: int = 256
    """Songs taken on at once, those that wait included; as many descriptions may wait."""

    kept_s: float = 300.0
    """How long the result of a request that gave its `request_id` is kept for those who ask again."""

    kept_bytes: int = 256 * 1024 * 1024
    """What is kept for this, of requests that run and that are done, together; the oldest results are
    forgotten first. A request that finds no room for its files cannot be joined."""

    max_unread_bytes: int = 768 * 1024 * 1024
    """Finished files that wait for slow readers, together. Beyond it new requests are refused, and
    those who have not read their songs get no further ones rendered."""

    info_timeout_s: float = 5.0
    """Deadline for asking a stage what it has loaded, and for checking a request with it."""

    plan_timeout_s: float = 300.0
    """Deadline for a plan or a description, queue included; a caller's shorter one wins."""

    codes_timeout_s: float = 1200.0
    """Deadline for a song's codes, queue included."""

    render_timeout_s: float = 1200.0
    """Deadline for a song's render, queue included."""

    upload_dir: Path = Path("run/uploads")
    """Where uploaded audio is kept."""

    max_upload_bytes: int = 256 * 1024 * 1024
    """Largest uploaded file."""

    max_uploads_bytes: int = 4 * 1024 * 1024 * 1024
    """Uploaded files together; beyond it, uploads are refused until older ones expire."""

    upload_lifetime_s: float = 3600.0
    """How long an upload is kept after its last use."""

    grace_s: float = 120.0
    """At SIGTERM, running calls get this long to finish."""

    log_format: LogFormat = LogFormat.JSON
    """`json` or `text`."""

    log_level: str = "INFO"
    """Python's name of the level."""

    @property
    def stage_tls(self) -> TlsFiles | None:
        """Raises `TlsError` if a certificate is given without its key."""
        files = TlsFiles(self.stage_tls_ca, self.stage_tls_certificate, self.stage_tls_key)
        return None if files == TlsFiles() else files

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and value < 0:
                raise ValueError(f"{field.name} is {value}; it must not be negative")
        for name in ("lm_address", "dit_address"):
            addresses = getattr(self, name)
            if not addresses:
                raise ValueError(f"{name} is empty; name at least one address")
            for address in addresses:
                if address.startswith(DNS) and not address.rpartition(":")[2].isdecimal():
                    raise ValueError(f"{name} holds {address!r}, which lacks its port: {DNS}name:port")
        for name in ("max_songs", "quota_shares"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
