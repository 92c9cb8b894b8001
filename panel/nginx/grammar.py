"""The shape of each value of a host: what is accepted, in which spelling, and the sentence for what is not.
May import: panel.nginx.{addresses,lookalikes,text}, idna."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import idna

from panel.i18n import gettext as _
from panel.nginx import addresses, lookalikes
from panel.nginx.text import URL_PATTERN, bare_host, describe, place, quote, refuse_invisible

MAX_DOMAIN_NAMES = 100
MAX_NAME_LENGTH = 253
MAX_LABEL_LENGTH = 63
MAX_NOTES_LENGTH = 2000
FORWARD_SCHEMES = ("http", "https")

# Names that nginx, its users or the machine itself give a meaning of their own.
_RESERVED_NAMES = frozenset(
    {"_", "default", "default_server", "localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"}
)
_RESERVED_PREFIX = "waypost_"  # upstream groups and variables of the rendered files
_LABEL = re.compile(r"\A[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z")
_HOST_LABEL = re.compile(r"\A[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\Z")  # Docker's names have underscores


def parse_domain_name(text: str) -> str:
    """A public name as nginx needs it: lower case, punycode, perhaps a leading "*.". Raises ValueError(sentence)."""
    name = text.strip(" \t")
    if not name:
        raise ValueError(_("Write at least one name, for example app.example.com."))
    _refuse_reserved(name)
    _refuse_foreign_syntax(name)
    is_wildcard = name.startswith("*.")
    plain = _to_ascii(name[2:] if is_wildcard else name, _LABEL)
    _refuse_reserved(plain)
    if addresses.is_numeric(plain):
        raise ValueError(
            _("%(quote)s is an IP address. nginx tells hosts apart by name: use a name.", quote=quote(name))
        )
    if is_wildcard and "." not in plain:
        raise ValueError(
            _(
                "%(quote)s would catch everything under .%(plain)s. Use a name with a dot after the star.",
                quote=quote(name),
                plain=plain,
            )
        )
    return _limit(f"*.{plain}" if is_wildcard else plain)


def parse_domain_names(texts: Iterable[str]) -> tuple[str, ...]:
    """The names of one host in their order. Raises ValueError when there are none, too many or doubles."""
    written = tuple(texts)
    if not written:
        raise ValueError(_("Write at least one name, for example app.example.com."))
    if len(written) > MAX_DOMAIN_NAMES:
        raise ValueError(
            _(
                "A host takes at most %(max_domain_names)s names; these are %(len)s.",
                max_domain_names=MAX_DOMAIN_NAMES,
                len=len(written),
            )
        )
    names = tuple(map(parse_domain_name, written))
    doubles = [name for position, name in enumerate(names) if name in names[:position]]
    if doubles:
        raise ValueError(_("%(quote)s is written twice. Remove one of them.", quote=quote(doubles[0])))
    return names


def parse_forward_scheme(text: str) -> str:
    """What nginx speaks to the upstream. Raises ValueError(sentence)."""
    if text not in FORWARD_SCHEMES:
        raise ValueError(_("Choose http or https."))
    return text


def parse_forward_host(text: str) -> str:
    """An upstream's name or address: lower case, IPv6 canonical and without brackets. Raises ValueError(sentence)."""
    host = text.strip(" \t")
    if not host:
        raise ValueError(_("Write the name or address of the upstream, for example app, 10.0.0.5 or fd00::5."))
    if host.lower().startswith("unix:"):
        raise ValueError(_("A socket file cannot be an upstream. Use a name or an address that listens on a port."))
    refuse_invisible(host)
    _refuse_url(host)
    if ":" in host or "[" in host:
        return addresses.parse_ipv6(host)
    name = _to_ascii(host, _HOST_LABEL)
    if addresses.is_numeric(name):
        return addresses.parse_ipv4(name)
    if name.startswith(_RESERVED_PREFIX):
        raise ValueError(
            _(
                "Names that begin with %(reserved_prefix)s are kept for Waypost itself. Use another name.",
                reserved_prefix=_RESERVED_PREFIX,
            )
        )
    addresses.refuse_metadata_name(name)
    return _limit(name)


def parse_port(text: str | int) -> int:
    """A TCP port from 1 to 65535, of ASCII digits only. Raises ValueError(sentence)."""
    digits = str(text).strip(" \t")
    if not digits:
        raise ValueError(_("Write a port from 1 to 65535, for example 8080."))
    refuse_invisible(digits)
    for position, character in enumerate(digits):
        if character not in "0123456789":
            raise ValueError(
                _("%(place)s is %(describe)s.", place=place(digits, position), describe=describe(character))
            )
    if len(digits) > 5 or not 1 <= int(digits) <= 65535:
        raise ValueError(_("%(quote)s is not a port. Ports go from 1 to 65535.", quote=quote(digits)))
    if digits.startswith("0"):
        raise ValueError(_("Write %(int)s without a leading zero.", int=int(digits)))
    return int(digits)


def check_notes(text: str) -> str:
    """Notes with plain line ends; they never reach a file. Raises ValueError(sentence)."""
    notes = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(notes) > MAX_NOTES_LENGTH:
        raise ValueError(
            _(
                "Notes take at most %(max_notes_length)s characters; these are %(len)s.",
                max_notes_length=MAX_NOTES_LENGTH,
                len=len(notes),
            )
        )
    for position, character in enumerate(notes, start=1):
        if character not in "\n\t" and unicodedata.category(character) in {"Cc", "Cs"}:
            raise ValueError(
                _(
                    "Character %(position)s is a control character (U+%(ord)s). Remove it.",
                    position=position,
                    ord=f"{ord(character):04X}",
                )
            )
    return notes


def display_name(name: str) -> str:
    """A stored name as people read it: unicode, but punycode where its letters could pass for another name's."""
    return ".".join(map(lookalikes.display_label, name.split(".")))


def _refuse_reserved(name: str) -> None:
    if name.lower() in _RESERVED_NAMES:
        raise ValueError(
            _(
                "%(quote)s has a meaning of its own to nginx or the machine. Use a real name, such as app.example.com.",
                quote=quote(name),
            )
        )


def _refuse_foreign_syntax(name: str) -> None:
    """What people paste or know from elsewhere: addresses with path or port, nginx's own patterns."""
    refuse_invisible(name)
    _refuse_url(name)
    if "@" in name:
        raise ValueError(
            _("%(quote)s has an @, as e-mail addresses have. Write only the name after it.", quote=quote(name))
        )
    if ":" in name or "[" in name:
        host = bare_host(name)
        hint = _(": write %(host)s", host=host) if host and "[" not in host else ""
        raise ValueError(
            _(
                "%(quote)s has a port or is an IP address. Only the name belongs here%(hint)s.",
                quote=quote(name),
                hint=hint,
            )
        )
    if name.startswith("~"):
        raise ValueError(_("Patterns are not possible here. Write each name, or a wildcard such as *.example.com."))
    if name.startswith("."):
        raise ValueError(
            _(
                "%(quote)s begins with a dot. Write both names, %(name)s and *%(name_2)s.",
                quote=quote(name),
                name=name[1:],
                name_2=name,
            )
        )
    if "*" in name.removeprefix("*."):
        raise ValueError(
            _("In %(quote)s the star is not alone at the front. Use it as in *.example.com.", quote=quote(name))
        )


def _refuse_url(text: str) -> None:
    if URL_PATTERN.match(text) or any(c in text for c in "/?#\\"):
        host = bare_host(text)
        hint = _(" Write only %(host)s.", host=host) if host else _(" Write only the name.")
        raise ValueError(_("%(quote)s is an address with a scheme or a path.%(hint)s", quote=quote(text), hint=hint))


def _to_ascii(name: str, label_pattern: re.Pattern[str]) -> str:
    """The name by the rules of international names (UTS 46, IDNA 2008), each label by the pattern."""
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(
            _(
                "%(quote)s is too long: a name has at most %(max_name_length)s characters.",
                quote=quote(name),
                max_name_length=MAX_NAME_LENGTH,
            )
        )
    try:
        mapped = name.lower() if name.isascii() else idna.uts46_remap(name)
    except idna.IDNAError as error:
        raise ValueError(
            _(
                "%(quote)s has a character that no name may have: %(first_foreign)s.",
                quote=quote(name),
                first_foreign=_first_foreign(name),
            )
        ) from error
    labels = mapped.removesuffix(".").split(".")
    return ".".join(_label_to_ascii(label, name, label_pattern) for label in labels)


def _label_to_ascii(label: str, name: str, pattern: re.Pattern[str]) -> str:
    if not label:
        raise ValueError(
            _("%(quote)s has a dot too many: between two dots there must be something.", quote=quote(name))
        )
    if len(label) > MAX_LABEL_LENGTH:
        raise ValueError(
            _(
                "%(quote)s is too long: at most %(max_label_length)s characters between two dots.",
                quote=quote(label),
                max_label_length=MAX_LABEL_LENGTH,
            )
        )
    try:
        ascii_label = label if _is_plain(label) else idna.alabel(label).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(_("%(quote)s is not a valid international name.", quote=quote(label))) from error
    if not pattern.match(ascii_label):
        raise ValueError(_sentence_for(ascii_label, name, pattern))
    return ascii_label


def _is_plain(label: str) -> bool:
    return label.isascii() and not label.startswith("xn--")


def _sentence_for(label: str, name: str, pattern: re.Pattern[str]) -> str:
    for character in label:
        if character == "_" and pattern is _LABEL:
            return _(
                "%(quote)s has an underscore, which public names cannot have. Use a hyphen instead.", quote=quote(name)
            )
        if not character.isalnum() and character not in "-_":
            return _(
                "%(quote)s has a “%(character)s”. Use only letters, digits, hyphens and dots.",
                quote=quote(name),
                character=character,
            )
    return _("%(quote)s begins or ends with a hyphen. Remove it.", quote=quote(label))


def _first_foreign(name: str) -> str:
    for character in name:
        try:
            idna.uts46_remap(character)
        except idna.IDNAError:
            return quote(character)
    return _("its characters do not go together")


def _limit(name: str) -> str:
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(
            _(
                "%(quote)s is too long: a name has at most %(max_name_length)s characters.",
                quote=quote(name),
                max_name_length=MAX_NAME_LENGTH,
            )
        )
    return name
