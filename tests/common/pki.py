"""A certificate authority for tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.tls import TlsFiles

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates for `localhost`, into `folder`."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def ca(self) -> Path:
        return self.folder / f"{self.name}.pem"

    @classmethod
    def create(cls, folder: Path, name: str) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(name, name, datetime.now(UTC) + DAY)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        authority = cls(folder, name, key, certificate)
        authority.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return authority

    def issue(self, name: str, lifetime: timedelta = DAY, ca: Path | None = None) -> TlsFiles:
        """Write a certificate and its key; whoever uses them trusts `ca`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        certificate = (
            _builder(name, self.name, datetime.now(UTC) + lifetime)
            .public_key(key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        files = TlsFiles(ca, self.folder / f"{name}.crt", self.folder / f"{name}.key")
        assert files.certificate is not None and files.key is not None
        pem = serialization.Encoding.PEM
        plain = serialization.NoEncryption()
        files.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        files.certificate.write_bytes(certificate.public_bytes(pem))
        return files


def _builder(subject: str, issuer: str, until: datetime) -> x509.CertificateBuilder:
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    return (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(datetime.now(UTC), until) - DAY)
        .not_valid_after(until)
    )
