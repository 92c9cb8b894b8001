"""The steps of an apply, as the stream takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from panel.extensions import transaction
from panel.models import Agent, Command, CommandKind, CommandState, ProxyHost, User
from panel.models.types import utcnow
from panel.services import bundles, commands, deployments, proxy_hosts

REFUSAL = 'invalid parameter "resolve" in /x/hosts/1-app.example.com.conf:6'


def update(host: ProxyHost, **values: Any) -> ProxyHost:
    with transaction():
        return proxy_hosts.update(host, replace(proxy_hosts.spec_of(host), **values), None, version=host.version)


def send(command: Command) -> Command:
    """What the stream does when it claims the command."""
    with transaction():
        command.state = CommandState.SENT
        if command.kind == CommandKind.APPLY_CONFIG:
            deployments.freeze(command)
    return command


def files_of(command: Command) -> Mapping[str, str]:
    """Path to sha256 of what it brings."""
    return bundles.manifest_for(command)


def enqueue(agent: Agent, actor: User | None = None, **options: Any) -> Command:
    with transaction():
        return deployments.apply(agent, actor, **options)


def prove(command: Command) -> Command:
    """The agent's proof for what it was sent."""
    with transaction():
        command.state, command.finished_at = CommandState.SUCCEEDED, utcnow()
        deployments.applied(command, command.payload["revision"])
    return command


def refuse(command: Command, *hosts: ProxyHost, line: int = 6, text: str = REFUSAL) -> None:
    paths = [path for path in files_of(command) for host in hosts if path.startswith(f"hosts/{host.id}-")]
    assert len(paths) == len(hosts)
    with transaction():
        command.state, command.finished_at = CommandState.FAILED, utcnow()
        deployments.refused(command, [{"path": path, "line": line, "text": text} for path in paths])


def apply(agent: Agent) -> Command:
    """The whole way, with an agent to whom everything is right."""
    return prove(send(enqueue(agent, at_once=True)))


def queued(agent: Agent) -> Command:
    found = commands.find_open(agent.id, CommandKind.APPLY_CONFIG, CommandState.QUEUED)
    assert found is not None
    return found
