"""Which addresses a person may let the agent speak to.
May import: agent.dns.spec."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from agent.dns.spec import DnsFailure

# Metadata services of clouds outside 169.254.0.0/16 and fe80::/10: Alibaba, Oracle, Azure, AWS and Google over IPv6.
_METADATA = frozenset({"100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"})
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def refuse_address(text: str, *, plain: bool = False) -> None:
    """Raises DnsFailure for link-local, metadata, multicast and unspecified addresses.

    `plain` is for what travels without TLS: then only loopback and private addresses are left.
    Called with the address of the open connection, so that neither decimal spellings nor rebinding help.
    """
    address = _unwrapped(text)
    if str(address) in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        raise DnsFailure("dns_credential", f"The agent does not speak to {address}.", "Use another server.")
    if plain and not (address.is_loopback or address.is_private):
        raise DnsFailure(
            "dns_credential", f"The agent does not send a secret to {address} without TLS.", "Use an https address."
        )


def _unwrapped(text: str) -> _Address:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4 (RFC 3056) or NAT64; else the address itself."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def check_url(text: str, label: str) -> str:
    """An http or https address without user, query or fragment, and without its final slash. Raises DnsFailure."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    bad = parts.username is not None or parts.query or parts.fragment or "\\" in text or port == 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or bad:
        raise DnsFailure("dns_credential", f"{label}: use an address like https://dns.example.com.")
    return text.rstrip("/")


def resolve_host(host: str) -> str:
    """The first address of a server that a person named. Raises DnsFailure when there is none or none is allowed."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DnsFailure("dns_provider", f"The server {host} has no address.", "Correct its name.") from error
    address = str(found[0][4][0])
    refuse_address(address)
    return address
