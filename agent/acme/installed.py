"""How an installation ended, and who takes part in one.
May import: agent.errors, agent.output, agent.nginx.guard, agent.acme.{causes,spec}."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from agent.acme.causes import say
from agent.acme.spec import Failure
from agent.errors import AgentError
from agent.nginx.guard import Guard
from agent.output import Output


@dataclass(frozen=True)
class Installed:
    """How it ended. `failure` is set when the version is not in use."""

    served: bool = False
    rolled_back: bool = False
    failure: Failure | None = None
    stage: str = ""


@dataclass
class Member:
    """One version on its way into use."""

    name: str
    version: int
    sha256: str
    output: Output
    guard: Guard
    previous: int = 0
    is_named: bool = False
    end: Installed | Exception | None = None

    @property
    def has_failed(self) -> bool:
        """Whether its version is not in use after all."""
        return isinstance(self.end, Installed) and self.end.failure is not None


@dataclass
class Batch:
    """Those who share one reload."""

    members: list[Member] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


def storage_failure(root: Path, error: Exception) -> Failure:
    """For a disk that is full or not ours."""
    if isinstance(error, AgentError):
        return Failure("storage", error.message)
    path = getattr(error, "filename", None) or root
    detail = getattr(error, "strerror", None) or str(error)
    return Failure("storage", *say("storage", path=str(path), detail=f"{detail}."), detail=str(error))


def refusal(problem: str) -> Failure:
    """For what nginx did not take, in its own words."""
    return Failure("nginx_refused", *say("nginx_refused", detail=problem), detail=problem)
