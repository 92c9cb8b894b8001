"""Questions to name servers, each with a time-out: to this machine's resolver, and to the name servers of a domain.
May import: agent.acme.check.{crew,surroundings}, agent.nginx.wrapper, dnspython."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset

from agent.acme.check.crew import in_parallel
from agent.acme.check.surroundings import Address, Deadline, NameServers
from agent.nginx.wrapper import resolvers

ONE_QUESTION = 1.0  # seconds
MOST_SERVERS = 4
RESOLV_CONF = Path("/etc/resolv.conf")
Found = TypeVar("Found")


class State(Enum):
    """How a question ended."""

    FOUND = "found"
    NO_DATA = "no data"  # the name exists, or something below it, without records of this type
    NO_NAME = "no name"
    BROKEN = "broken"  # SERVFAIL, REFUSED or nonsense
    BROKEN_DNSSEC = "broken DNSSEC"  # SERVFAIL that goes away when signatures are not checked
    SILENT = "silent"  # no answer in time


@dataclass(frozen=True)
class Answer:
    """What one server, or the first that was able, said. `aliases` are the names that CNAME records led through."""

    state: State
    records: tuple[dns.rdata.Rdata, ...] = ()
    aliases: tuple[str, ...] = ()
    server: str = ""

    @property
    def is_certain(self) -> bool:
        """Whether the server knew the answer, be it that there is nothing."""
        return self.state in {State.FOUND, State.NO_DATA, State.NO_NAME}


class Lookup:
    """Asks within a deadline and remembers, so that a hundred names of one domain ask for it once. Thread-safe."""

    def __init__(self, servers: NameServers, deadline: Deadline, may_ask: Callable[[Address], bool]) -> None:
        """`may_ask` says which addresses of a domain's name servers may be spoken to."""
        self._recursors = list(servers.addresses) or _system_servers()
        self._owners_port = servers.owners_port
        self.deadline = deadline
        self._may_ask = may_ask
        self._known: dict[tuple[str, ...], object] = {}
        self._locks: dict[tuple[str, ...], threading.Lock] = {}
        self._lock = threading.Lock()

    def ask(self, name: str, kind: str) -> Answer:
        """What the resolver says, CNAME records followed. `kind` is "A", "CAA", …"""
        return self._once(("ask", name, kind), lambda: self._ask_recursors(name, kind))

    def ask_owners(self, name: str, kind: str) -> list[Answer]:
        """What each name server of the name's domain says itself, without any cache in between; empty when none could
        be found. A CNAME record that leads out of the domain is followed by the resolver."""
        return self._once(("owners", name, kind), lambda: self._ask_owners(name, kind))

    def _ask_recursors(self, name: str, kind: str) -> Answer:
        answer = Answer(State.SILENT)
        for server in self._recursors:
            answer = _ask(server, name, kind, self.deadline)
            if answer.is_certain or self.deadline.has_passed:
                return answer
            if answer.state is State.BROKEN and _ask(server, name, kind, self.deadline, unchecked=True).is_certain:
                return Answer(State.BROKEN_DNSSEC, server=answer.server)
        return answer

    def _ask_owners(self, name: str, kind: str) -> list[Answer]:
        def ask(address: Address) -> Answer:
            server = (str(address), self._owners_port)
            return self._follow(_ask(server, name, kind, self.deadline, recursive=False), kind)

        return in_parallel(
            [partial(ask, address) for address in self._owners(name)], self.deadline, Answer(State.SILENT)
        )

    def _follow(self, answer: Answer, kind: str) -> Answer:
        if answer.state is not State.NO_DATA or not answer.aliases:
            return answer
        last = self.ask(answer.aliases[-1], kind)
        return Answer(last.state, last.records, (*answer.aliases, *last.aliases), answer.server)

    def _owners(self, name: str) -> Sequence[Address]:
        """The addresses of the name servers of the closest zone above the name, of at most four of them."""
        for zone in parents(name):
            found = self.ask(zone, "NS")
            if found.aliases:
                continue  # the zone of another name
            if found.state is State.FOUND:
                hosts = [str(record.target).rstrip(".") for record in found.records]  # type: ignore[attr-defined]
                return [address for host in sorted(hosts)[:MOST_SERVERS] if (address := self._address_of(host))]
            if not found.is_certain:
                return []
        return []

    def _address_of(self, host: str) -> Address | None:
        for kind in ("A", "AAAA"):
            for record in self.ask(host, kind).records:
                address = ipaddress.ip_address(record.to_text())
                if self._may_ask(address):
                    return address
        return None

    def _once(self, key: tuple[str, ...], find: Callable[[], Found]) -> Found:
        """The first who asks finds out; the others wait for the answer."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._known:
                self._known[key] = find()
            return self._known[key]  # type: ignore[return-value]


def parents(name: str) -> list[str]:
    """The name, its parent and so on, without the root: "a.b.c" gives "a.b.c", "b.c", "c"."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _ask(
    server: tuple[str, int],
    name: str,
    kind: str,
    deadline: Deadline,
    *,
    recursive: bool = True,
    unchecked: bool = False,
) -> Answer:
    """One question to one server, over TCP too when the answer is long."""
    address, port = server
    try:
        query = dns.message.make_query(name, kind)
    except (dns.exception.DNSException, ValueError):
        return Answer(State.NO_NAME, server=address)
    query.flags = (dns.flags.RD if recursive else dns.flags.Flag(0)) | (dns.flags.CD if unchecked else 0)
    try:
        reply, _ = dns.query.udp_with_fallback(query, address, deadline.remaining(ONE_QUESTION), port)
    except dns.exception.Timeout:
        return Answer(State.SILENT, server=address)
    except (dns.exception.DNSException, OSError, EOFError, ValueError):
        return Answer(State.BROKEN, server=address)
    if not recursive and not reply.answer and not reply.flags & dns.flags.AA:
        return Answer(State.BROKEN, server=address)  # it only knows whom else to ask
    return _read(reply, address)


def _read(reply: dns.message.Message, server: str) -> Answer:
    state = {dns.rcode.NOERROR: State.NO_DATA, dns.rcode.NXDOMAIN: State.NO_NAME}.get(reply.rcode(), State.BROKEN)
    if state is State.BROKEN or not isinstance(reply, dns.message.QueryMessage):
        return Answer(State.BROKEN, server=server)
    try:
        chain = reply.resolve_chaining()
    except dns.exception.DNSException:
        return Answer(State.NO_NAME if state is State.NO_NAME else State.BROKEN, server=server)
    aliases = tuple(str(record.target).rstrip(".").lower() for rrset in chain.cnames for record in rrset)
    if chain.answer is None:
        return Answer(state, aliases=aliases, server=server)
    return Answer(State.FOUND, tuple(chain.answer), aliases, server)


def _system_servers() -> list[tuple[str, int]]:
    text = RESOLV_CONF.read_text(errors="replace") if RESOLV_CONF.exists() else ""
    return [(address.strip("[]"), 53) for address in resolvers(text)]
