"""The private key of an upload: opened, checked and written as nginx reads it. No error ever quotes it.
May import: panel.services.pem_blocks, panel.errors, cryptography."""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from panel.errors import Invalid
from panel.i18n import gettext as _
from panel.services.pem_blocks import has_key, refuse_huge

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

FIELD = "key_pem"
MIN_RSA_BITS = 2048  # below that OpenSSL loads no certificate
MAX_RSA_BITS = 8192
MAX_PASSPHRASE = 1024
# What programs make: 2,048 to 600,000. Opening takes time by this number, and nothing else is done meanwhile.
MAX_ITERATIONS = 2_000_000

_BLOCK = re.compile(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]*PRIVATE KEY)-----(?P<body>[^-]+(?:-[^-]+)*?)-----END (?P=kind)-----"
)
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")  # 1.2.840.113549.1.5.12
_SCRYPT = bytes.fromhex("06092b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11


def load(text: str, passphrase: str) -> PrivateKey:
    """The key in the text. Raises Invalid at "key_pem" or "passphrase"."""
    found = _find_block(text)
    kind, body = found["kind"], found["body"]
    if len(passphrase) > MAX_PASSPHRASE:
        raise Invalid(
            "passphrase", _("A passphrase has at most %(max_passphrase)s characters.", max_passphrase=MAX_PASSPHRASE)
        )
    if kind == "ENCRYPTED PRIVATE KEY":
        _refuse_slow(body)
    return _usable(_open(found.group(), passphrase, is_encrypted=kind.startswith("ENCRYPTED") or "ENCRYPTED" in body))


def dump(key: PrivateKey) -> str:
    """The key as PKCS #8 without a passphrase."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _find_block(text: str) -> re.Match[str]:
    if not text.strip():
        raise Invalid(FIELD, _("Give the private key as PEM: it begins with -----BEGIN PRIVATE KEY-----."))
    refuse_huge(text, FIELD)
    if not has_key(text):
        raise Invalid(FIELD, _("There is no private key in this field: it begins with -----BEGIN PRIVATE KEY-----."))
    found = list(_BLOCK.finditer(text))
    if len(found) != 1:
        raise Invalid(FIELD, _("Give exactly one private key, with its first and last line."))
    return found[0]


def _usable(key: object) -> PrivateKey:
    """What nginx can load."""
    if not isinstance(key, PrivateKey):
        raise Invalid(FIELD, _("nginx cannot use this kind of key. Use an elliptic curve or an RSA key."))
    if isinstance(key, rsa.RSAPrivateKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise Invalid(
            FIELD,
            _(
                "This RSA key has %(key_size)s bits. Use one of %(min_rsa_bits)s to "
                "%(max_rsa_bits)s: nginx loads no other.",
                key_size=key.key_size,
                min_rsa_bits=MIN_RSA_BITS,
                max_rsa_bits=MAX_RSA_BITS,
            ),
        )
    return key


def _open(block: str, passphrase: str, *, is_encrypted: bool) -> object:
    if is_encrypted and not passphrase:
        raise Invalid("passphrase", _("This key is encrypted. Write its passphrase; it is not kept."))
    password = passphrase.encode() if is_encrypted else None
    try:
        return load_pem_private_key(block.encode(errors="replace"), password)
    except UnsupportedAlgorithm:
        raise Invalid(
            FIELD, _("This kind of key, or of encryption, is not known here. Convert it to PKCS #8.")
        ) from None
    except (ValueError, TypeError):
        if is_encrypted:
            raise Invalid("passphrase", _("This passphrase does not open the key. Enter it again.")) from None
        raise Invalid(FIELD, _("This private key is damaged. Copy it again, with its first and last line.")) from None


def _refuse_slow(body: str) -> None:
    """Keys whose passphrase is stretched so long that opening them would stop the panel (RFC 8018 appendix A.2)."""
    try:
        data = base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        return  # damaged: the loader says so
    if _SCRYPT in data:
        raise Invalid(
            FIELD, _("This key is encrypted by scrypt, which is not taken here. Decrypt it before uploading it.")
        )
    if _PBKDF2 in data and _iterations(data[data.index(_PBKDF2) + len(_PBKDF2) :]) > MAX_ITERATIONS:
        raise Invalid(
            FIELD, _("The passphrase of this key is stretched too long. Decrypt the key before uploading it.")
        )


def _iterations(parameters: bytes) -> int:
    """The second value of PBKDF2-params, after the salt. Anything else counts as too long."""
    try:
        salt_at = 2  # SEQUENCE, length
        if parameters[0] != 0x30 or parameters[1] > 0x7F or parameters[salt_at] != 0x04:
            return MAX_ITERATIONS + 1
        number_at = salt_at + 2 + parameters[salt_at + 1]
        if parameters[number_at] != 0x02:
            return MAX_ITERATIONS + 1
        return int.from_bytes(parameters[number_at + 2 : number_at + 2 + parameters[number_at + 1]])
    except IndexError:
        return MAX_ITERATIONS + 1
