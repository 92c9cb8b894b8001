"""Certificates for tests: an authority of our own, and folders like certbot's.
May import: agent, cryptography."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.acme.leaf import Material, make_key
from agent.acme.spec import KeyType


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass
class TestAuthority:
    """Signs what it is told to."""

    __test__ = False

    name: str = "Test Issuer"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(_named(self.name))
            .issuer_name(_named(self.name))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1000))
            .not_valid_after(now + timedelta(days=4000))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, *names: str, days: float = 90, age: float = 0, key_type: KeyType = KeyType.EC_256) -> Material:
        """A certificate that lasts so many days and began `age` days ago."""
        key_pem = make_key(key_type)
        key = serialization.load_pem_private_key(key_pem.encode(), None)
        start = datetime.now(UTC) - timedelta(days=age, minutes=1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return Material(certificate.public_bytes(serialization.Encoding.PEM).decode(), self.pem, key_pem)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
