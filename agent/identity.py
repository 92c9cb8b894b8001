"""Who this agent is: its key, its certificate and where its panel listens, in files that only it can read.
May import: the standard library and cryptography only."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# The SAN of the panel's server certificate. Its address may be anything; this name is what the CA certifies.
PANEL_NAME = "panel.waypost.internal"


@dataclass(frozen=True)
class Identity:
    """All that mutual TLS with the panel needs. PEM as text."""

    agent_id: str
    agent_name: str
    host: str
    stream_port: int
    ca_pem: str
    key_pem: str
    certificate_pem: str
    token_sha256: str = ""

    @property
    def target(self) -> str:
        """host:port for gRPC; an IPv6 address stands in brackets."""
        return f"[{self.host}]:{self.stream_port}" if ":" in self.host else f"{self.host}:{self.stream_port}"

    @property
    def expires_at(self) -> datetime:
        """When the certificate ends (UTC)."""
        return self._certificate().not_valid_after_utc

    def is_expired(self, now: datetime) -> bool:
        """Whether the panel will refuse this certificate."""
        return now >= self.expires_at

    def is_due_for_renewal(self, now: datetime) -> bool:
        """Whether two thirds of the certificate's lifetime have passed."""
        certificate = self._certificate()
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return now >= start + (end - start) * 2 / 3

    def _certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate_pem.encode())


def load(folder: Path) -> Identity | None:
    """The stored identity, or None when this agent has never joined or the file is damaged."""
    try:
        stored = json.loads((folder / "identity.json").read_text())
        identity = Identity(**stored)
        identity.is_expired(datetime.now(UTC))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return identity


def save(folder: Path, identity: Identity) -> None:
    """Writes everything in one file by one rename, so that key and certificate always belong together."""
    write_private(folder / "identity.json", json.dumps(asdict(identity), indent=1).encode())
    (folder / "joining.key").unlink(missing_ok=True)


def joining_key(folder: Path) -> str:
    """The key of a join that is under way: kept until it ends, because a lost reply is asked for again with it."""
    path = folder / "joining.key"
    if not path.exists():
        write_private(path, new_key().encode())
    return path.read_text()


def new_key() -> str:
    """A P-256 key as PEM. It never leaves this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def csr_for(key_pem: str) -> bytes:
    """A signing request for the key. Its subject is ignored by the panel."""
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("The agent's key is not an elliptic-curve key.")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "waypost agent")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def write_private(path: Path, data: bytes) -> None:
    """Writes a 0600 file by rename, durably; its folder becomes 0700."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
