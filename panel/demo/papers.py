"""The certificates of the demo as agents report them, and one that a person uploads.
May import: panel.demo.fleet, panel.services, panel.models, cryptography."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from panel.demo.fleet import Paper
from panel.models import Certificate, CertificateSource
from panel.services.certificate_states import CertificateState

ISSUERS = {"acme": "E7", "dns": "E8", "staging": "(STAGING) Pseudo Plum E5", "certbot": "R12"}
COMPANY = "Acme Internal CA"
FOLDER = "/etc/letsencrypt"
LEADS_ELSEWHERE = (
    "{name} leads to another machine: Let's Encrypt got an answer there that is not ours.",
    "Let the A record of {name} lead to this machine, or use the DNS check.",
    "urn:ietf:params:acme:error:unauthorized: 192.0.2.80: Invalid response from http://{name}/.well-known/: 404",
)


def state(paper: Paper, now: datetime, directory_url: str) -> CertificateState:
    """What lies on the disk now. It is renewed when a third of its life is left; nobody renews an upload."""
    end = now + timedelta(days=paper.left, hours=5, minutes=17)
    serial = sha256(f"{paper.folder}{paper.machine}".encode()).hexdigest()
    renews = paper.source in {"acme", "dns", "staging"} and not paper.is_paused
    due = max(end - timedelta(days=paper.lifetime / 3), now + timedelta(hours=7))
    source = {"upload": CertificateSource.UPLOAD, "certbot": CertificateSource.CERTBOT}.get(
        paper.source, CertificateSource.ACME
    )
    return CertificateState(
        name=paper.folder,
        source=source,
        names=paper.names,
        not_before=end - timedelta(days=paper.lifetime),
        not_after=end,
        serial=f"04{serial[:34]}",
        sha256=serial,
        issuer=ISSUERS.get(paper.source, COMPANY),
        key_type="ec-256",
        directory_url=directory_url if source == CertificateSource.ACME else "",
        chain_path=f"{FOLDER}/live/{paper.folder}/fullchain.pem",
        key_path=f"{FOLDER}/live/{paper.folder}/privkey.pem",
        is_present=True,
        is_served=paper.source != "certbot",
        is_paused=paper.is_paused,
        next_action="renew" if renews else "",
        next_action_at=due if renews else None,
        last_attempt_at=end - timedelta(days=paper.lifetime) if renews else None,
    )


def failure(certificate: Certificate, at: datetime, retry_at: datetime | None) -> dict[str, object]:
    """Why an attempt came to nothing, as agents say it."""
    name = certificate.domain_names[0]
    sentence, next_step, detail = (text.format(name=name) for text in LEADS_ELSEWHERE)
    return {
        "cause": "points_elsewhere",
        "sentence": sentence,
        "next_step": next_step,
        "detail": detail,
        "at": at.isoformat(),
        "retry_at": retry_at.isoformat() if retry_at else None,
        "url": "",
        "names": [name],
        "directory_url": certificate.authority.directory_url if certificate.authority else "",
    }


def failed(state: CertificateState, why: dict[str, object], at: datetime, count: int) -> CertificateState:
    """The same certificate after so many attempts in a row came to nothing."""
    again = at + timedelta(hours=12)
    return replace(
        state, failures=count, last_failure=why, last_attempt_at=at, next_action="retry", next_action_at=again
    )


def uploaded(paper: Paper, now: datetime) -> tuple[str, str, str]:
    """A certificate of a company's own authority, its chain and its key, as PEM."""
    end = now + timedelta(days=paper.left, hours=5)
    begin = end - timedelta(days=paper.lifetime)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate(COMPANY, root_key, root_key, (begin, end))
    leaf = _certificate(paper.names[0], key, root_key, (begin, end), names=paper.names)
    pem = serialization.Encoding.PEM
    key_pem = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return leaf.public_bytes(pem).decode(), root.public_bytes(pem).decode(), key_pem.decode()


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    span: tuple[datetime, datetime],
    *,
    names: tuple[str, ...] = (),
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(COMPANY))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
    )
    if names:
        known = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(known, critical=False)
    return builder.sign(signer, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
