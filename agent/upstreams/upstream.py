"""What hosts lead to, and what was found there.
May import: the standard library only."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class Cause(StrEnum):
    """Why nginx does not get an answer from an upstream. The words are those of the contract."""

    UNRESOLVED = "unresolved"
    NO_COMMON_NETWORK = "no_common_network"
    STOPPED = "stopped"
    UNHEALTHY = "unhealthy"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    TLS = "tls"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Upstream:
    """Where a host leads to. `scheme` is "http" or "https"."""

    scheme: str
    host: str
    port: int

    @property
    def address(self) -> str:
        """Its host when that is an address already, without brackets; else empty."""
        text = self.host.strip("[]")
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            return ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Finding:
    """What one check found. `cause` is None when nginx gets through; `sentence` may then still say something.
    `network` is the one that nginx should be joined to, where that would help."""

    cause: Cause | None = None
    sentence: str = ""
    next_step: str = ""
    container: str = ""
    network: str = ""


@dataclass(frozen=True)
class State:
    """A finding about one upstream. `milliseconds` is how long it took."""

    upstream: Upstream
    finding: Finding
    checked_at: datetime
    milliseconds: int = 0

    @classmethod
    def now(cls, upstream: Upstream, finding: Finding, seconds: float = 0.0) -> State:
        """Found just now, in so many seconds."""
        return cls(upstream, finding, datetime.now(UTC), round(seconds * 1000))
