"""How a command about a certificate ended, and what people want to know of each certificate.
May import: agent.acme.{spec,state,leaf}."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.acme.leaf import Leaf
from agent.acme.spec import Failure, Finding
from agent.acme.state import Memory, Source


@dataclass(frozen=True)
class Outcome:
    """As CertificateResult in the contract. `failure` is set when it failed, `stage` tells where."""

    failure: Failure | None = None
    stage: str = ""
    findings: tuple[Finding, ...] = ()
    is_dry_run: bool = False
    served: bool = False
    rolled_back: bool = False
    needs_confirmation: bool = False


@dataclass(frozen=True)
class Status:
    """One certificate on this machine; as CertificateState in the contract."""

    name: str
    source: Source
    leaf: Leaf | None
    directory_url: str
    chain_path: Path
    key_path: Path
    problem: str
    is_served: bool
    memory: Memory
    next_action: str = ""
    next_action_at: datetime | None = None
