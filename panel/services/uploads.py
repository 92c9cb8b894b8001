"""Reading what a person uploads: a certificate, its chain and its key as PEM, put in order and checked. Pure functions.
May import: panel.services.{pem_blocks,uploaded_keys}, panel.errors, cryptography."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from panel.errors import Invalid
from panel.i18n import gettext as _
from panel.i18n import mark
from panel.services import uploaded_keys
from panel.services.pem_blocks import parse_certificates
from panel.services.uploaded_keys import PrivateKey

MAX_CHAIN = 10  # certificates
MAX_NAMES = 200
_WEAK_HASHES = {"md5", "sha1"}


@dataclass(frozen=True)
class Upload:
    """A certificate as the agent needs it: leaf first, the key as PKCS #8 without a passphrase. `warnings` are
    sentences about what works, but hardly as it was meant."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    issuer: str
    fullchain_pem: str
    key_pem: str = field(repr=False)
    warnings: tuple[str, ...] = ()


def parse(certificate_pem: str, chain_pem: str, key_pem: str, passphrase: str, now: datetime) -> Upload:
    """Reads an upload and repairs the order of its chain.

    Raises Invalid at "certificate_pem", "chain_pem", "key_pem" or "passphrase". No sentence quotes the key.
    """
    given = parse_certificates(certificate_pem, "certificate_pem", _("certificate"))
    chain = parse_certificates(chain_pem, "chain_pem", _("chain")) if chain_pem.strip() else []
    if len(given) + len(chain) > MAX_CHAIN:
        raise Invalid(
            "chain_pem",
            _(
                "Give at most %(max_chain)s certificates: yours, and those that lead to its issuer.",
                max_chain=MAX_CHAIN,
            ),
        )
    key = uploaded_keys.load(key_pem, passphrase)
    leaf = _find_leaf([*given, *chain], key)
    ordered = _order([leaf, *(one for one in _distinct([*given, *chain]) if one != leaf)])
    names = _names(leaf)
    _refuse_weak(ordered)
    return Upload(
        names=names,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        issuer=_common_name(leaf.issuer),
        fullchain_pem="".join(one.public_bytes(Encoding.PEM).decode() for one in ordered),
        key_pem=uploaded_keys.dump(key),
        warnings=tuple(_warnings(ordered, now)),
    )


def _find_leaf(certificates: Sequence[x509.Certificate], key: PrivateKey) -> x509.Certificate:
    """The one that the key belongs to, wherever it stands."""
    wanted = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for one in certificates:
        if _public_key(one) == wanted:
            return one
    raise Invalid(
        "key_pem", _("This key does not belong to the certificate. Give the key that its request was made with.")
    )


def _public_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _order(certificates: list[x509.Certificate]) -> list[x509.Certificate]:
    """Each one followed by its issuer, as TLS wants it (RFC 8446 section 4.4.2); a root at the end is left out."""
    ordered, left = certificates[:1], certificates[1:]
    while (issuer := next((one for one in left if _is_issuer(one, ordered[-1])), None)) is not None:
        ordered.append(issuer)
        left.remove(issuer)
    if left:
        name = _common_name(left[0].subject)
        raise Invalid(
            "chain_pem", _("The certificate “%(name)s” is no part of this one's chain. Leave it out.", name=name)
        )
    is_rooted = len(ordered) > 1 and ordered[-1].subject == ordered[-1].issuer
    return ordered[:-1] if is_rooted else ordered


def _is_issuer(candidate: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(candidate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _distinct(certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    return list(dict.fromkeys(certificates))


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    """The subject alternative names; browsers have not read the common name for years."""
    try:
        extension = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        raise Invalid(
            "certificate_pem", _("This certificate has no alternative names, so no browser accepts it. Get a new one.")
        ) from None
    except ValueError:
        raise Invalid("certificate_pem", _("The names in this certificate cannot be read. Get a new one.")) from None
    if not isinstance(extension, x509.SubjectAlternativeName):
        raise Invalid("certificate_pem", _("The names in this certificate cannot be read. Get a new one."))
    hosts = [name.lower() for name in extension.get_values_for_type(x509.DNSName)]
    addresses = [str(address) for address in extension.get_values_for_type(x509.IPAddress)]
    found = tuple(dict.fromkeys([*hosts, *addresses]))
    if not found or len(found) > MAX_NAMES or any(len(name) > 253 or not name.isprintable() for name in found):
        raise Invalid(
            "certificate_pem", _("A certificate must have 1 to %(max_names)s names of hosts.", max_names=MAX_NAMES)
        )
    return found


def _refuse_weak(certificates: Sequence[x509.Certificate]) -> None:
    """What nginx's OpenSSL would refuse to load, so that the host would stay without HTTPS."""
    for one in certificates:
        algorithm = one.signature_hash_algorithm
        if algorithm is not None and algorithm.name in _WEAK_HASHES and one.subject != one.issuer:
            raise Invalid(
                "certificate_pem",
                _(
                    "“%(common_name)s” is signed with %(upper)s, which is broken. Get a new one.",
                    common_name=_common_name(one.subject),
                    upper=algorithm.name.upper(),
                ),
            )


def _warnings(ordered: Sequence[x509.Certificate], now: datetime) -> list[str]:
    leaf = ordered[0]
    said = []
    if leaf.not_valid_after_utc <= now:
        said.append(f"It ended on {leaf.not_valid_after_utc:%d %B %Y}: browsers warn their users.")
    if leaf.not_valid_before_utc > now:
        said.append(f"It begins on {leaf.not_valid_before_utc:%d %B %Y}: until then browsers warn their users.")
    if leaf.subject == leaf.issuer:
        said.append(mark("It is signed by itself: browsers warn everybody who has not been told to trust it."))
    elif len(ordered) == 1:
        said.append(mark("It came without the certificates of its issuer: some devices may not trust it."))
    return said


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME) or list(name)
    text = str(found[0].value) if found else ""
    return "".join(character for character in text if character.isprintable())[:100] or "without a name"
