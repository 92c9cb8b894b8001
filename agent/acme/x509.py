"""Certificates and keys, read and made by `cryptography`. Large: agent.acme.leaf loads it when it is needed first.
May import: cryptography, agent.acme.{leaf,spec}."""

from __future__ import annotations

from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import NameOID

from agent.acme.leaf import Leaf
from agent.acme.spec import KeyType

_CURVES: dict[KeyType, ec.EllipticCurve] = {KeyType.EC_256: ec.SECP256R1(), KeyType.EC_384: ec.SECP384R1()}


def make_key(key_type: KeyType) -> str:
    """A new key as PEM (PKCS #8). RSA takes up to seconds."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if curve := _CURVES.get(key_type):
        key = ec.generate_private_key(curve)
    else:
        key = rsa.generate_private_key(65537, int(key_type.removeprefix("rsa-")))
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, kind, serialization.NoEncryption()).decode()


def read_leaf(pem: str) -> Leaf:
    """The first certificate of a PEM text. Raises ValueError."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    return Leaf(
        names=_names(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        serial=f"{certificate.serial_number:x}",
        issuer=_issuer(certificate),
        key_type=_key_type(certificate),
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def find_mismatch(fullchain_pem: str, key_pem: str) -> str:
    """Why key and certificates do not go together, as a sentence; empty when they do. Each certificate must be signed
    by the one that follows it (RFC 8446, section 4.4.2, as nginx sends them)."""
    try:
        chain = x509.load_pem_x509_certificates(fullchain_pem.encode())
        key = serialization.load_pem_private_key(key_pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return f"The certificate or its key cannot be read ({error})."
    if _public(chain[0].public_key()) != _public(key.public_key()):
        return "The key does not belong to the certificate."
    for signed, signer in pairwise(chain):
        try:
            signed.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return f"The chain is broken: {_subject(signer)} did not sign {_subject(signed)}."
    return ""


def split(fullchain_pem: str) -> tuple[str, str]:
    """The leaf, and what comes after it. Raises ValueError."""
    encoding = serialization.Encoding.PEM
    chain = [each.public_bytes(encoding).decode() for each in x509.load_pem_x509_certificates(fullchain_pem.encode())]
    return chain[0], "".join(chain[1:])


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(str(found.value) for found in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    addresses = [str(address) for address in extension.get_values_for_type(x509.IPAddress)]
    return (*extension.get_values_for_type(x509.DNSName), *addresses)


def _issuer(certificate: x509.Certificate) -> str:
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        if found := certificate.issuer.get_attributes_for_oid(kind):
            return str(found[0].value)
    return certificate.issuer.rfc4514_string()


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or ", ".join(_names(certificate)) or "a certificate without a name"


def _key_type(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ec-{key.curve.key_size}"
    return f"rsa-{key.key_size}" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__.removesuffix("PublicKey")
