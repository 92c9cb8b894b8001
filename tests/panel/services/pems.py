"""A certificate authority for tests: roots, intermediates and leaves as people upload them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from panel.models.types import utcnow

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.write_key(serialization.PrivateFormat.PKCS8)

    def write_key(self, layout: serialization.PrivateFormat, passphrase: str = "") -> str:
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            encryption = serialization.BestAvailableEncryption(passphrase.encode())
        return self.key.private_bytes(serialization.Encoding.PEM, layout, encryption).decode()


def make(
    name: str,
    *names: str,
    issuer: Made | None = None,
    is_ca: bool = False,
    key: Key | None = None,
    ends: datetime | None = None,
    begins: datetime | None = None,
) -> Made:
    """A certificate with this common name and these alternative names; signed by itself without an issuer."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    ends = ends or utcnow() + timedelta(days=60)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer.certificate.subject if issuer else _name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins or ends - timedelta(days=90))
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(alternatives, critical=False)
    return Made(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


@cache
def root() -> Made:
    return make("Test root", is_ca=True)


@cache
def intermediate() -> Made:
    return make("Test intermediate", issuer=root(), is_ca=True)


@cache
def second() -> Made:
    return make("Second intermediate", issuer=intermediate(), is_ca=True)


def leaf(*names: str, issuer: Made | None = None, **values: Any) -> Made:
    names = names or ("app.example.com",)
    return make(names[0], *names, issuer=issuer or intermediate(), **values)


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
