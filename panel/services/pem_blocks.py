"""PEM as people paste it: certificates out of a field, and a clear word when something else is in it.
May import: panel.errors, cryptography."""

from __future__ import annotations

import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from panel.errors import Invalid
from panel.i18n import gettext as _

MAX_FIELD = 64 << 10  # characters

_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_CERTIFICATE = re.compile(
    r"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]+-----END (?:X509 |TRUSTED )?CERTIFICATE-----"
)


def has_key(text: str) -> bool:
    """Whether a private key stands in the text."""
    return _KEY.search(text) is not None


def parse_certificates(text: str, field: str, what: str) -> list[x509.Certificate]:
    """The certificates of one field in their order; what stands around them is left out. Raises Invalid(field)."""
    if not text.strip():
        raise Invalid(field, _("Give the certificate as PEM: it begins with -----BEGIN CERTIFICATE-----."))
    refuse_huge(text, field)
    if has_key(text):
        raise Invalid(
            field,
            _("There is a private key in the field of the %(what)s. Put it into the key's own field only.", what=what),
        )
    blocks = _CERTIFICATE.findall(text)
    if not blocks:
        raise Invalid(
            field, _("There is no PEM %(what)s in this field: it begins with -----BEGIN CERTIFICATE-----.", what=what)
        )
    return [_parse(block, field) for block in blocks]


def refuse_huge(text: str, field: str) -> None:
    """Raises Invalid(field) for more than any chain or key has."""
    if len(text) > MAX_FIELD:
        raise Invalid(field, _("This is too long: a field takes at most %(value)s KB of PEM.", value=MAX_FIELD // 1024))


def _parse(block: str, field: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(block.encode(errors="replace"))
        certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid(
            field, _("A certificate in this field is damaged. Copy it again, with its first and last line.")
        ) from error
    return certificate
