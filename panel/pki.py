"""The panel's own certificate authority: made at first start, it certifies this panel and its agents, nobody else.
May import: panel.errors and cryptography."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_NAME = "panel.waypost.internal"  # no real name, so that the panel may move without new certificates
AGENT_URI = "urn:waypost:agent:"

CA_LIFETIME = timedelta(days=20 * 365)
SERVER_LIFETIME = timedelta(days=90)
AGENT_LIFETIME = timedelta(days=30)
CLOCK_SKEW = timedelta(hours=1)  # an agent whose clock is behind must not find its new certificate too young
MAX_CSR_SIZE = 16 << 10  # bytes


class PkiError(Exception):
    """The authority cannot be used; the sentence says what to do."""


class BadRequest(Exception):
    """A certificate signing request that is refused; the sentence says why."""


@dataclass(frozen=True)
class IssuedCertificate:
    """A client certificate and what the panel remembers of it. `serial` is hex."""

    pem: bytes
    serial: str
    public_key_sha256: str
    not_after: datetime


@dataclass(frozen=True)
class ServerIdentity:
    """What the panel's gRPC ports show, in PEM."""

    key_pem: bytes
    certificate_pem: bytes


@dataclass(frozen=True)
class Authority:
    """The CA with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The CA certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign_csr(self, csr_pem: bytes, agent_id: str, now: datetime) -> IssuedCertificate:
        """A client certificate for the request's public key. Its subject and extensions are ignored.

        Raises BadRequest when it is malformed, not signed by its own key, or the key is not P-256.
        """
        public_key = csr_public_key(csr_pem)
        certificate = (
            self._builder(public_key, f"agent {agent_id}", now, AGENT_LIFETIME)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(AGENT_URI + agent_id)]), critical=False
            )
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        serial = format(certificate.serial_number, "x")
        return IssuedCertificate(pem, serial, key_sha256(public_key), certificate.not_valid_after_utc)

    def issue_server(self, now: datetime) -> ServerIdentity:
        """A new key and certificate for the panel's own ports."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(key.public_key(), SERVER_NAME, now, SERVER_LIFETIME)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return ServerIdentity(_key_pem(key), certificate.public_bytes(serialization.Encoding.PEM) + self.pem)

    def _builder(
        self, public_key: ec.EllipticCurvePublicKey, name: str, now: datetime, lifetime: timedelta
    ) -> x509.CertificateBuilder:
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            _certificate_builder(public_key, name, now, lifetime)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(is_ca=False), critical=True)
            .add_extension(authority_key, critical=False)
        )


def open_authority(directory: Path, now: datetime) -> Authority:
    """The CA in `directory`, made there if there is none. Raises PkiError when it is half present or damaged."""
    if not directory.exists() or not any(directory.iterdir()):
        _make_authority(directory, now)
    return _load_authority(directory)


def open_server_identity(directory: Path, authority: Authority, now: datetime) -> ServerIdentity:
    """The panel's server certificate, renewed at two thirds of its life (or when it cannot be read)."""
    key_path, certificate_path = directory / "server-key.pem", directory / "server.pem"
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = _load_key(key_path)
        certificate.verify_directly_issued_by(authority.certificate)
        is_pair = key.public_key() == certificate.public_key()
        if is_pair and certificate.not_valid_after_utc - now > SERVER_LIFETIME / 3:
            return ServerIdentity(key_path.read_bytes(), certificate_path.read_bytes())
    except (OSError, ValueError, TypeError, InvalidSignature):
        pass  # only the CA is precious: this pair is made again from it
    identity = authority.issue_server(now)
    _write(key_path, identity.key_pem)
    _write(certificate_path, identity.certificate_pem)
    return identity


def read_ca_pem(directory: Path) -> bytes:
    """The CA certificate, which is public. Raises PkiError before the first start."""
    try:
        return (directory / "ca.pem").read_bytes()
    except OSError as error:
        raise PkiError(f"{directory / 'ca.pem'} cannot be read ({error.strerror}).") from error


def fingerprint(ca_pem: bytes) -> str:
    """The sha256 of the certificate's DER, in hex: what a join token pins."""
    return x509.load_pem_x509_certificate(ca_pem).fingerprint(hashes.SHA256()).hex()


def csr_public_key(csr_pem: bytes) -> ec.EllipticCurvePublicKey:
    """The key that a request proves to hold. Raises BadRequest."""
    if len(csr_pem) > MAX_CSR_SIZE:
        raise BadRequest("The certificate signing request is too large.")
    try:
        csr = x509.load_pem_x509_csr(csr_pem)
        is_signed = csr.is_signature_valid
        public_key = csr.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadRequest("The certificate signing request cannot be read.") from error
    if not is_signed:
        raise BadRequest("The certificate signing request is not signed by its own key.")
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
        raise BadRequest("The key must be an elliptic curve key on P-256.")
    return public_key


def key_sha256(public_key: ec.EllipticCurvePublicKey) -> str:
    """The hash that stands for a public key, in hex."""
    encoding, layout = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(public_key.public_bytes(encoding, layout)).hexdigest()


def read_identity(certificate_pem: bytes) -> tuple[str, str]:
    """(agent id, serial in hex) of a client certificate that TLS has verified. Raises ValueError for any other."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise ValueError("the certificate names nobody") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1 or not uris[0].startswith(AGENT_URI):
        raise ValueError("the certificate is not an agent's")
    return uris[0].removeprefix(AGENT_URI), format(certificate.serial_number, "x")


def _make_authority(directory: Path, now: datetime) -> None:
    """Makes the files beside their place and moves them at once, so that a crash leaves all or nothing."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _certificate_builder(key.public_key(), "Waypost panel CA", now, CA_LIFETIME)
        .issuer_name(_name("Waypost panel CA"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Path(tempfile.mkdtemp(prefix="pki-", dir=directory.parent))  # 0700
    try:
        _write(made / "ca-key.pem", _key_pem(key))
        _write(made / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))
        made.rename(directory)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise PkiError(f"{directory} cannot be written ({error.strerror}).") from error


def _load_authority(directory: Path) -> Authority:
    advice = "Restore the folder from a backup; without it every agent would have to join again."
    try:
        key = _load_key(directory / "ca-key.pem")
        certificate = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
    except OSError as error:
        raise PkiError(f"The panel's CA is incomplete: {error.filename} ({error.strerror}). {advice}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PkiError(f"The panel's CA in {directory} is damaged. {advice}") from error
    if key.public_key() != certificate.public_key():
        raise PkiError(f"The panel's CA in {directory} is damaged: its key and certificate do not match. {advice}")
    return Authority(certificate, key)


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not an elliptic curve key")
    return key


def _certificate_builder(
    public_key: ec.EllipticCurvePublicKey, name: str, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    """Replaces the file in one step, 0600, durable."""
    temporary = path.with_name(path.name + ".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
