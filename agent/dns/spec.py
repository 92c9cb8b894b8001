"""The words of this engine: records, where to ask, what a provider needs, what came of a check, and why not.
May import: agent.errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.errors import AgentError


@dataclass(frozen=True)
class TxtRecord:
    """One value at one name (`_acme-challenge.example.com`, RFC 8555 section 8.4). Names are A-labels."""

    name: str
    value: str

    def __post_init__(self) -> None:
        """Names are compared: lower case, without the final dot."""
        object.__setattr__(self, "name", self.name.rstrip(".").lower())

    def __str__(self) -> str:
        """As a person would enter it."""
        return f"{self.name} TXT {self.value}"


@dataclass(frozen=True)
class DnsSettings:
    """Whom to ask. `server` is "127.0.0.1:8053" or "[::1]:8053", or empty for the resolver of this machine.

    A given server is the way into a world of its own (that of a test authority), so the name servers of its zones
    are asked at its port too, unless `authoritative_port` says another. In the real world they listen on port 53.
    """

    server: str = ""
    authoritative_port: int = 0

    @property
    def address(self) -> tuple[str, int]:
        """The given server as address and port."""
        host, _, port = self.server.rpartition(":")
        if not host:
            host, port = self.server, "53"
        return host.strip("[]"), int(port)

    @property
    def port(self) -> int:
        """Where name servers listen."""
        return self.authoritative_port or (self.address[1] if self.server else 53)


@dataclass(frozen=True)
class DnsProviderField:
    """One value that a credential needs; as DnsProviderField in the contract."""

    name: str
    label: str
    help: str = ""
    secret: bool = False
    optional: bool = False


@dataclass(frozen=True)
class DnsProviderInfo:
    """A provider for the form of a credential; as DnsProvider in the contract. `help` names the least rights."""

    id: str
    label: str
    help: str
    fields: tuple[DnsProviderField, ...]


@dataclass(frozen=True)
class CredentialCheck:
    """What a check of a credential found. `zones` are those that it may edit, where the provider tells."""

    ok: bool
    sentence: str
    zones: tuple[str, ...] = ()


class Guard(Protocol):
    """Until when to go on; agent.nginx.guard.Guard is one."""

    def check(self) -> None:
        """Raises when the command must not go on."""

    def remaining(self) -> float:
        """Seconds until the deadline."""


class DnsFailure(AgentError):
    """Why something did not work. Causes:

    - `dns_credential`: the provider refuses the values, or they do not reach the zone;
    - `record_not_seen`: not all name servers show the record;
    - `dns_broken`: name servers or the resolver give broken answers, or none;
    - `dns_provider`: the provider does not answer, or is busy: trying again later may help;
    - `clock`: the clock of this machine is wrong.

    `detail` is the provider's own answer, without secrets.
    """

    def __init__(self, cause: str, sentence: str, next_step: str = "", detail: str = "") -> None:
        super().__init__(sentence)
        self.cause = cause
        self.next_step = next_step
        self.detail = detail
