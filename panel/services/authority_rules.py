"""What an authority's settings may look like: addresses, CA bundles, external accounts. Pure functions.
May import: panel.nginx.{grammar,text}, panel.errors, cryptography."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from urllib.parse import SplitResult, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from panel.errors import Invalid
from panel.i18n import gettext as _
from panel.nginx import grammar

MAX_NAME = 64
MAX_URL = 255
MAX_EMAIL = 253
MAX_KID = 255
MAX_BUNDLE = 64 << 10  # characters
MAX_BUNDLED = 20  # certificates
MIN_EAB_KEY = 16  # bytes; RFC 8555 section 7.3.4 leaves the length to the authority, whose keys have 32 and more
MAX_EAB_KEY = 512  # characters

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_BASE64URL = re.compile(r"\A[A-Za-z0-9_-]+\Z")


def parse_name(text: str) -> str:
    """A name for people, of one line. Raises Invalid("name")."""
    name = " ".join(text.split())
    if not name:
        raise Invalid("name", _("Give it a name, for example the name of your company's authority."))
    if len(name) > MAX_NAME or _has_controls(name):
        raise Invalid("name", _("Use at most %(max_name)s characters, and no control characters.", max_name=MAX_NAME))
    return name


def parse_directory_url(text: str, field: str = "directory_url") -> str:
    """An ACME directory's address: https, and no address by which clouds hand out credentials. Raises Invalid."""
    url = text.strip()
    example = _("for example https://acme.example.com/directory")
    if not url.startswith("https://"):
        raise Invalid(
            field, _("Write the address of its directory beginning with https://, %(example)s.", example=example)
        )
    if len(url) > MAX_URL or not url.isascii() or _has_controls(url) or any(c in url for c in ' "<>\\^`{|}'):
        raise Invalid(
            field,
            _(
                "Write it without spaces or special characters, at most %(max_url)s characters, %(example)s.",
                max_url=MAX_URL,
                example=example,
            ),
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Invalid(field, _("This is not an address. Write one, %(example)s.", example=example)) from None
    if "@" in parts.netloc or parts.fragment or not parts.netloc:
        raise Invalid(field, _("Write it without a user name and without a #, %(example)s.", example=example))
    _check_place(parts, field)
    return url


def parse_ca_pem(text: str) -> str:
    """The certificates that may sign the directory's own TLS certificate, normalised. Raises Invalid("ca_pem")."""
    if not text.strip():
        return ""
    if len(text) > MAX_BUNDLE:
        raise Invalid(
            "ca_pem", _("This is too long for the certificates of an authority. Give only those that it needs.")
        )
    if _PRIVATE_KEY.search(text):
        raise Invalid("ca_pem", _("There is a private key in this field. Take it out, and give only certificates."))
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise Invalid("ca_pem", _("This is no PEM certificate. It begins with -----BEGIN CERTIFICATE-----.")) from None
    if len(found) > MAX_BUNDLED:
        raise Invalid(
            "ca_pem",
            _("Give at most %(max_bundled)s certificates; these are %(len)s.", max_bundled=MAX_BUNDLED, len=len(found)),
        )
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in found)


def parse_email(text: str) -> str:
    """The address for the account, or "". Raises Invalid("email")."""
    email = text.strip()
    if not email:
        return ""
    local, at, domain = email.rpartition("@")
    is_plain = local.isascii() and local.isprintable() and not any(c in local for c in ' "(),:;<>@[\\]')
    if not at or not local or not is_plain or len(email) > MAX_EMAIL:
        raise Invalid("email", _("Write one e-mail address, for example admin@example.com, or leave it empty."))
    try:
        return f"{local}@{grammar.parse_domain_name(domain)}"
    except ValueError as error:
        raise Invalid("email", str(error)) from error


def parse_eab_kid(text: str) -> str:
    """The key identifier of an external account, or "". Raises Invalid("eab_kid")."""
    kid = text.strip()
    if len(kid) > MAX_KID or not kid.isascii() or not kid.isprintable() or " " in kid:
        raise Invalid("eab_kid", _("Copy the key ID as the authority shows it: one word of plain characters."))
    return kid


def parse_eab_key(text: str) -> str:
    """The HMAC key of an external account, base64url without padding (RFC 8555 section 7.3.4). Raises Invalid."""
    key = text.strip().rstrip("=")
    sentence = _("Copy the HMAC key as the authority shows it: letters, digits, - and _ in one piece.")
    if len(key) > MAX_EAB_KEY or not _BASE64URL.match(key):
        raise Invalid("eab_key", sentence)
    try:
        data = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
    except binascii.Error:
        raise Invalid("eab_key", sentence) from None
    if len(data) < MIN_EAB_KEY:
        raise Invalid("eab_key", _("This HMAC key is too short. Copy all of it."))
    return key


def _check_place(parts: SplitResult, field: str) -> None:
    """The host by the grammar of upstreams, which knows every spelling of an address; the port as a number."""
    host, _, port = parts.netloc.rpartition(":") if not parts.netloc.endswith("]") else (parts.netloc, "", "")
    if not host:
        host, port = port, ""
    try:
        grammar.parse_forward_host(host)
        if port or parts.netloc.endswith(":"):
            grammar.parse_port(port)
    except ValueError as error:
        raise Invalid(field, str(error)) from error


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in text)
