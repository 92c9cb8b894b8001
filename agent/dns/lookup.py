"""Asks the resolver and single name servers, with time-outs. Imported late.
May import: agent.dns.spec, agent.dns.texts, dnspython."""

from __future__ import annotations

import socket

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from agent.dns.spec import DnsFailure, DnsSettings

SECONDS = 2.0
# What a resolver says that does not know a kind of question, or not this part of the world.
_UNWILLING = {dns.rcode.NOTIMP, dns.rcode.REFUSED}


class Lookup:
    """One resolver, and the port at which name servers listen. Thread-safe."""

    def __init__(self, settings: DnsSettings, seconds: float = SECONDS) -> None:
        """`seconds` are for one question. Raises DnsFailure when this machine has no resolver."""
        self.settings = settings
        self._seconds = seconds
        try:
            self._resolver = dns.resolver.Resolver(configure=not settings.server)
        except (dns.exception.DNSException, OSError) as error:
            sentence = "This machine has no DNS resolver: /etc/resolv.conf cannot be read."
            raise DnsFailure("dns_broken", sentence, "Give it one.") from error
        if settings.server:
            host, port = settings.address
            self._resolver.nameservers, self._resolver.port = [host], port
        self._resolver.timeout, self._resolver.lifetime = seconds, 3 * seconds
        self._resolver.cache = None

    def resolve(self, name: str, kind: str) -> dns.resolver.Answer | None:
        """What the resolver says; None when there is no such name or record. Raises DnsFailure for no answer."""
        try:
            answer = self._resolver.resolve(name + ".", kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return None
        except dns.resolver.NoNameservers as error:
            if _codes(error) & _UNWILLING:
                return None
            raise _silent(name, str(error)) from error
        except (dns.exception.DNSException, OSError) as error:
            raise _silent(name, str(error)) from error
        return answer if answer.rrset is not None else None

    def negative_seconds(self, name: str) -> float:
        """How long the resolver goes on saying that there is no TXT at a name; 0 when it sees one or cannot tell."""
        query = dns.message.make_query(name + ".", "TXT")
        for server in self._resolver.nameservers:
            answer = ask(str(server), self._resolver.port, query, self._seconds)
            if answer is None or answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN} or answer.answer:
                continue
            return float(max((rrset.ttl for rrset in answer.authority), default=0))
        return 0.0

    def addresses(self, name: str) -> list[str]:
        """All addresses of a host, both families."""
        found = [self.resolve(name, kind) for kind in ("A", "AAAA")]
        return [value.to_text() for answer in found if answer is not None for value in answer]

    def ask_server(self, address: str, name: str, kind: str) -> dns.message.Message | None:
        """What one name server says about its own zones; None when it does not answer (asked twice)."""
        query = dns.message.make_query(name + ".", kind, use_edns=0, payload=1232)
        query.flags &= ~dns.flags.RD
        port = self.settings.port
        return ask(address, port, query, self._seconds) or ask(address, port, query, self._seconds)


def ask(address: str, port: int, query: dns.message.Message, seconds: float) -> dns.message.Message | None:
    """One question over UDP, and over TCP when the answer is too long; None for no or a broken answer."""
    try:
        answer, _ = dns.query.udp_with_fallback(query, address, seconds, port)
    except (dns.exception.DNSException, OSError, EOFError):
        return None
    return answer


def has_route(address: str) -> bool:
    """Whether this machine has any way to an address; many have none to IPv6."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 53))
    except OSError:
        return False
    return True


def _codes(error: dns.resolver.NoNameservers) -> set[dns.rcode.Rcode]:
    answers = [tried[4] for tried in error.kwargs.get("errors", ())]
    return {answer.rcode() for answer in answers if answer is not None}


def _silent(name: str, detail: str) -> DnsFailure:
    sentence = f"The name servers of {name} give broken answers, or none."
    next_step = "Look whether this machine resolves names; dnsviz.net shows what is wrong with a signed zone."
    return DnsFailure("dns_broken", sentence, next_step, detail)
