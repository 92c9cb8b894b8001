"""Signing requests, and whether what an authority sent is what was ordered.
May import: agent.acme.failures, cryptography."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from agent.acme.failures import BadCertificate

_LONGEST_CHAIN = 10


@dataclass(frozen=True)
class Chain:
    """A certificate that fits, and what comes after it."""

    leaf_pem: str
    chain_pem: str
    serial: str
    issuer: str
    not_before: datetime
    not_after: datetime


def signing_request(key_pem: str, names: Sequence[str]) -> bytes:
    """A DER request for these names, addresses too (RFC 8738). No subject: the names are all that counts."""
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise BadCertificate("The key of the certificate is neither an EC nor an RSA key.")
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.add_extension(alternatives, critical=False).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def read_chain(pem: str, key_pem: str, names: Sequence[str]) -> Chain:
    """Key, names and signatures are checked before anybody relies on it. Raises BadCertificate.

    Dates are not: an authority that dates a little ahead of our clock is no reason to throw its certificate away.
    """
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise BadCertificate("it is not a chain of PEM certificates") from error
    if not 1 <= len(certificates) <= _LONGEST_CHAIN:
        raise BadCertificate(f"it is a chain of {len(certificates)} certificates")
    leaf, *rest = certificates
    if not fits(leaf, key_pem):
        raise BadCertificate("it is for another key")
    if names_of(leaf) != {_plain(name) for name in names}:
        raise BadCertificate(f"it is for {', '.join(sorted(names_of(leaf))) or 'no name'}")
    for child, parent in zip(certificates, rest, strict=False):
        _check_signature(child, parent)
    return Chain(
        leaf_pem=_pem(leaf),
        chain_pem="".join(_pem(certificate) for certificate in rest),
        serial=f"{leaf.serial_number:x}",
        issuer=_common_name(leaf.issuer),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def fits(leaf: x509.Certificate, key_pem: str) -> bool:
    """Whether the key is that of the certificate."""
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    encoding = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*encoding) == leaf.public_key().public_bytes(*encoding)


def names_of(certificate: x509.Certificate) -> set[str]:
    """Its subject alternative names: DNS names in lower case, and addresses."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    names = {name.lower() for name in found.get_values_for_type(x509.DNSName)}
    return names | {str(address) for address in found.get_values_for_type(x509.IPAddress)}


def _check_signature(child: x509.Certificate, parent: x509.Certificate) -> None:
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise BadCertificate("its chain is not one: a certificate is not signed by the next one") from error


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _plain(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
