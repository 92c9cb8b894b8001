"""IP addresses of upstreams: strict spellings, and those that no host may lead to.
May import: the standard library, panel.nginx.text."""

from __future__ import annotations

import ipaddress
import re

from panel.i18n import gettext as _
from panel.nginx.text import bare_host, quote

# Where clouds answer with the machine's credentials; link-local as a whole is refused beside these.
_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_METADATA_ADDRESSES = frozenset({"100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"})
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LAST_LABEL_IS_NUMBER = re.compile(r"(?:\A|\.)(?:[0-9]+|0x[0-9a-f]*)\Z")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_numeric(name: str) -> bool:
    """Whether programs may read this name as an IPv4 address, also in decimal, octal or hexadecimal spelling."""
    return _LAST_LABEL_IS_NUMBER.search(name) is not None


def parse_ipv4(text: str) -> str:
    """Four decimal numbers without leading zeros. Raises ValueError(sentence)."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise ValueError(
            _(
                "%(quote)s is not a valid IP address. Use four numbers from 0 to 255, for example 10.0.0.5.",
                quote=quote(text),
            )
        ) from None
    _refuse_special(address)
    return str(address)


def parse_ipv6(text: str) -> str:
    """An IPv6 address, with or without brackets, in its canonical spelling. Raises ValueError(sentence)."""
    if "%" in text:
        raise ValueError(
            _("%(quote)s names a network card after the %%. Use an address that needs none.", quote=quote(text))
        )
    host = bare_host(text)
    if host and host != text:
        raise ValueError(
            _(
                "%(quote)s has a port. Write only %(host)s here; the port has its own field.",
                quote=quote(text),
                host=host,
            )
        )
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.IPv6Address(bare)
    except ValueError:
        raise ValueError(_("%(quote)s is not a valid IPv6 address. Use one like fd00::5.", quote=quote(text))) from None
    _refuse_special(address)
    return str(address.ipv4_mapped or address)


def refuse_metadata_name(name: str) -> None:
    """Raises ValueError for names by which clouds hand out a machine's credentials."""
    if name in _METADATA_NAMES:
        raise ValueError(
            _("%(quote)s is the metadata service of a cloud, which no host may lead to.", quote=quote(name))
        )


def _refuse_special(address: Address) -> None:
    for form in (address, *_embedded(address)):
        if form.is_link_local or str(form) in _METADATA_ADDRESSES:
            raise ValueError(
                _("%(address)s is a link-local or metadata address, which no host may lead to.", address=address)
            )
        if form.is_unspecified or form.is_multicast or str(form) == "255.255.255.255":
            raise ValueError(
                _("%(address)s is not the address of one machine. Use the upstream's own address.", address=address)
            )


def _embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 one may stand for: mapped, compatible, 6to4 and NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    is_compatible = int(address) >> 32 == 0 and int(address) > 0xFFFF
    found = [address.ipv4_mapped, address.sixtofour, last if address in _NAT64 or is_compatible else None]
    return [form for form in found if form is not None]
