"""Keys and signing requests. A program of its own, because its tools are large and needed once in weeks:
`python -m agent.keys` makes a key, or reads one from standard input, and prints key and request as JSON.
May import: the standard library and cryptography only."""

from __future__ import annotations

import json
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


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


if __name__ == "__main__":
    key_pem = sys.stdin.read() or new_key()
    json.dump({"key_pem": key_pem, "csr_pem": csr_for(key_pem).decode()}, sys.stdout)
