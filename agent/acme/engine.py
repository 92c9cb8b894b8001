"""What attempts work with, and what one attempt needs.
May import: agent.output, agent.nginx.guard and the parts of agent.acme below agent.acme.ordering."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.acme.install import Installer
from agent.acme.lineage import Lineages
from agent.acme.order import Authorities
from agent.acme.spec import CertificateSpec, Finding
from agent.acme.store import Store
from agent.nginx.guard import Guard
from agent.output import Output

Check = Callable[[CertificateSpec], list[Finding]]


@dataclass(frozen=True)
class Job:
    """What one attempt needs. `asked_at` is when the command came; `is_own` tells that the agent began it."""

    output: Output
    guard: Guard
    asked_at: datetime
    is_own: bool = False


@dataclass(frozen=True)
class Wish:
    """What a person asks for with a new certificate."""

    spec: CertificateSpec
    is_dry_run: bool = False
    accepts_warnings: bool = False
    host_waits: bool = False


@dataclass(frozen=True)
class Engine:
    """What attempts work with. `changed` is called when something is new to tell."""

    store: Store
    lineages: Lineages
    authorities: Authorities
    installer: Installer
    check: Check
    webroot: Path
    changed: Callable[[], None] = lambda: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
