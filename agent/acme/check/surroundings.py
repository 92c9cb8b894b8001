"""What the check needs to know besides the request: this machine, what was done before, and how long it may take.
May import: agent.acme.{order,spec}, agent.config, agent.nginx.machine, psutil."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import psutil

from agent.acme.order import DirectoryFacts
from agent.acme.spec import Authority, CertificateSpec
from agent.config import AgentConfig
from agent.nginx.machine import has_ipv6

SECONDS = 2.7  # of the whole check: a person waits for it

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Directories(Protocol):
    """Who asks a directory: agent.acme.order.Authorities."""

    def directory(self, authority: Authority) -> DirectoryFacts:
        """What it says of itself, asked now. Raises AcmeFailure."""

    def account_url(self, authority: Authority) -> str:
        """The URL of this agent's account there; empty while there is none."""


def _never(_directory_url: str, _since: datetime) -> Sequence[tuple[Sequence[str], datetime]]:
    return ()


def _own_addresses() -> tuple[Address, ...]:
    """The addresses of this machine's network cards."""
    found = [address for card in psutil.net_if_addrs().values() for address in card]
    texts = [a.address.partition("%")[0] for a in found if a.family in {socket.AF_INET, socket.AF_INET6}]
    return tuple(map(ipaddress.ip_address, texts))


@dataclass(frozen=True)
class NameServers:
    """Whom to ask about names. Without addresses: those of this machine's /etc/resolv.conf. Ports are of UDP and TCP;
    the name servers of a domain listen on `owners_port` (53 outside of tests)."""

    addresses: tuple[tuple[str, int], ...] = ()
    owners_port: int = 53


@dataclass(frozen=True)
class Surroundings:
    """`issues_since(directory_url, moment)` gives names and time of each certificate that this agent got, and
    `failures_since` the names and time of each validation that failed. `seconds` is what the whole check may take."""

    config: AgentConfig
    webroot: Path
    authorities: Directories
    issues_since: Callable[[str, datetime], Sequence[tuple[Sequence[str], datetime]]] = _never
    failures_since: Callable[[str, datetime], Sequence[tuple[Sequence[str], datetime]]] = _never
    name_servers: NameServers = NameServers()
    seconds: float = SECONDS
    public_port: int = 80  # where a public authority asks for challenges; another one in tests
    nginx_address: Callable[[], str] = lambda: "127.0.0.1"  # raises NginxUnavailable
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    has_ipv6: bool = field(default_factory=has_ipv6)
    own_addresses: tuple[Address, ...] = field(default_factory=_own_addresses)


class Deadline:
    """When the check must be over; on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self, at_most: float = 60.0) -> float:
        """Seconds that are left, never more than `at_most` and never less than a millisecond."""
        return max(0.001, min(at_most, self._end - time.monotonic()))

    @property
    def has_passed(self) -> bool:
        """Whether nothing more may be begun."""
        return time.monotonic() >= self._end


@dataclass(frozen=True)
class Question:
    """One run of the check: what is wanted, of whom, from where, until when."""

    spec: CertificateSpec
    authority: Authority
    here: Surroundings
    deadline: Deadline

    @property
    def is_public(self) -> bool:
        """Whether everybody trusts this authority, so that the rules of public names and addresses hold (CA/Browser
        Forum, Baseline Requirements). One with its own CA file, and a test authority, has its own rules."""
        return not self.authority.is_test and not self.authority.ca_pem

    @property
    def is_lets_encrypt(self) -> bool:
        """Whether its published limits and profiles are known here."""
        host = urlsplit(self.authority.directory_url).hostname or ""
        return host == "letsencrypt.org" or host.endswith(".letsencrypt.org")

    @property
    def http_port(self) -> int:
        """Where the authority will ask for the challenge. A test authority asks nginx where it listens."""
        return self.here.config.http_port if self.authority.is_test else self.here.public_port
