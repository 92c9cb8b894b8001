"""Where a challenge is to be written: CNAMEs are followed first, then the zone is found by its SOA, and its servers.
May import: agent.dns.lookup, agent.dns.spec, dnspython. Imported late."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import dns.flags
import dns.message
import dns.name
import dns.rdatatype

from agent.dns.lookup import Lookup, has_route
from agent.dns.spec import DnsFailure

MAX_HOPS = 8


@dataclass(frozen=True)
class Server:
    """One address of one name server."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"


@dataclass(frozen=True)
class Zone:
    """A zone and the servers that answer for it, as far as this machine has a way to them."""

    name: str
    servers: tuple[Server, ...]


@dataclass(frozen=True)
class Place:
    """Where the TXT record of a name really goes. `zone` is None in worlds without zones (some test authorities)."""

    name: str
    zone: Zone | None
    hops: tuple[str, ...] = ()

    @property
    def zone_name(self) -> str:
        """Empty when there is none."""
        return self.zone.name if self.zone else ""


@dataclass(frozen=True)
class _Found:
    """What the servers of a zone say of a name: where it leads, or the zone below that has it."""

    target: str = ""
    child: str = ""


def locate(name: str, lookup: Lookup) -> Place:
    """Follows `name` to where its TXT record goes.

    The zone's own servers are asked, so that no cache keeps "there is no such name" of what is about to be written,
    and so that delegation by CNAME works with whoever runs the target. A CNAME that is there for every name (`*`)
    is not followed: nobody meant it for challenges, and our record takes its place. Raises DnsFailure.
    """
    start, hops = name, list[str]()
    while True:
        zone = _enclosing(_parent(name), lookup)
        zone, target = _descend(zone, name, lookup) if zone else (None, _alias(name, lookup))
        if not target or (not hops and _is_wildcard(zone, name, target, lookup)):
            return Place(name, zone, tuple(hops))
        hops.append(target)
        if len(hops) > MAX_HOPS or hops.count(target) > 1:
            sentence = f"The CNAME records of {start} lead in a circle, or too far."
            raise DnsFailure("dns_broken", sentence, "Let them end at a name that exists.")
        name = target


def _parent(name: str) -> str:
    return name.partition(".")[2]


def _enclosing(name: str, lookup: Lookup) -> Zone | None:
    """The nearest zone at or above a name (RFC 1034 section 4.2), by asking for its SOA label by label."""
    owner = name
    while owner:
        answer = lookup.resolve(owner, "SOA")
        if answer is not None and answer.rrset is not None and answer.rrset.name == dns.name.from_text(owner):
            return Zone(owner, _servers(owner, lookup))
        owner = _parent(owner)
    return None


def _servers(zone: str, lookup: Lookup) -> tuple[Server, ...]:
    answer = lookup.resolve(zone, "NS")
    names = sorted(value.to_text().rstrip(".").lower() for value in answer) if answer else []
    found = [Server(name, address) for name in names for address in lookup.addresses(name)]
    return tuple(server for server in found if ":" not in server.address or has_route(server.address))


def _descend(zone: Zone, name: str, lookup: Lookup) -> tuple[Zone, str]:
    """Asks the servers for the name itself; goes on to a zone below when they delegate it."""
    while True:
        found = _ask(zone, name, lookup)
        if not found.child:
            return zone, found.target
        if found.child == zone.name or not f".{found.child}".endswith(f".{zone.name}"):
            return zone, ""
        zone = Zone(found.child, _servers(found.child, lookup))


def _ask(zone: Zone, name: str, lookup: Lookup) -> _Found:
    """One answer tells it all: a SOA, a CNAME, the zone's own SOA beside "nothing here", or a referral."""
    for server in zone.servers:
        message = lookup.ask_server(server.address, name, "SOA")
        if message is not None and (message.flags & dns.flags.AA or message.authority):
            return _read(message, zone, name)
    # Nobody answers here, so the resolver must do: a firewall may let only it through.
    return _Found(target=_alias(name, lookup))


def _read(message: dns.message.Message, zone: Zone, name: str) -> _Found:
    owner = dns.name.from_text(name)
    for rrset in message.answer:
        if rrset.name == owner and rrset.rdtype == dns.rdatatype.CNAME:
            return _Found(target=rrset[0].to_text().rstrip(".").lower())
        if rrset.name == owner and rrset.rdtype == dns.rdatatype.SOA:
            return _Found(child=name if name != zone.name else "")
    for rrset in message.authority:
        child = rrset.name.to_text(omit_final_dot=True).lower()
        if (
            rrset.rdtype in (dns.rdatatype.SOA, dns.rdatatype.NS)
            and child != zone.name
            and owner.is_subdomain(rrset.name)
        ):
            return _Found(child=child)
    return _Found()


def _alias(name: str, lookup: Lookup) -> str:
    answer = lookup.resolve(name, "CNAME")
    return answer[0].to_text().rstrip(".").lower() if answer else ""


def _is_wildcard(zone: Zone | None, name: str, target: str, lookup: Lookup) -> bool:
    sibling = f"{secrets.token_hex(8)}.{_parent(name)}"
    other = _ask(zone, sibling, lookup).target if zone else _alias(sibling, lookup)
    return other == target
