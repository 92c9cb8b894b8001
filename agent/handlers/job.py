"""What a handler gets and what it is.
May import: protos, agent.acme, agent.handlers.dock, agent.nginx, agent.output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.acme.certificates import Certificates
from agent.acme.spec import Finding
from agent.handlers.dock import Dock
from agent.nginx.apply import Applier
from agent.nginx.guard import Guard
from agent.nginx.interface import Nginx
from agent.nginx.reload import Reloader
from agent.nginx.stage import ContentSource, Stager
from agent.output import Output
from protos import command_stream_pb2 as pb


@dataclass(frozen=True)
class Engines:
    """What handlers call."""

    nginx: Nginx
    stager: Stager
    applier: Applier
    reloader: Reloader
    certificates: Certificates
    dock: Dock
    look_up: Callable[[Sequence[str], str, bool], list[Finding]]  # names, a name server or "", whether for tests


@dataclass(frozen=True)
class Job:
    """One command that runs."""

    command: pb.Command
    engines: Engines
    output: Output
    guard: Guard
    source: ContentSource
    age: float = 0.0  # seconds since it came
    is_own: bool = False  # the agent began it by itself


@dataclass(frozen=True)
class Handler:
    """How a command is run. It raises AgentError to fail with a sentence. One that `resumes` is run again when the
    agent was restarted in the middle of it, and goes on where it was."""

    run: Callable[[Job], pb.CommandResult]
    resource: str = ""
    resumes: bool = False
