"""What people do with Docker networks: join nginx to one and take it out. Wanted ones are put back by the agent.
May import: panel.services.{commands,docker_facts,events}, panel.models, panel.extensions, panel.errors."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from panel.errors import Conflict, Forbidden, NotFound
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import OPEN_STATES, Agent, Command, CommandKind, User
from panel.services import commands, docker_facts, events
from panel.services.docker_facts import DockerFacts, Network

RESOURCE = "docker"  # of commands that change networks one is under way at a time
RUN_TIMEOUT = 60.0  # seconds
CHANGES = (CommandKind.ATTACH_NETWORK, CommandKind.DETACH_NETWORK)


def attach(agent: Agent, name: str, actor: User | None) -> Command:
    """Joins nginx to a network, now and whenever it is missing there; while one is asked for already, that one.

    nginx is not restarted. Raises Forbidden, NotFound, Conflict with the reason when it cannot be joined.
    """
    _require_editor(actor)
    network = _require_network(agent, name)
    if network.attach_refusal:
        raise Conflict(
            _(
                "nginx cannot be joined to %(name)s. %(attach_refusal)s",
                name=name,
                attach_refusal=network.attach_refusal,
            )
        )
    payload = {"network": name, "aliases": list(network.aliases)}
    return _change(agent, CommandKind.ATTACH_NETWORK, payload, actor)


def detach(agent: Agent, name: str, actor: User | None) -> Command:
    """Takes nginx out of a network, for good; while that is asked for already, that command.

    Raises Forbidden, NotFound, Conflict with the reason when nginx must stay.
    """
    _require_editor(actor)
    network = _require_network(agent, name)
    if network.detach_refusal:
        raise Conflict(
            _("nginx cannot leave %(name)s. %(detach_refusal)s", name=name, detach_refusal=network.detach_refusal)
        )
    return _change(agent, CommandKind.DETACH_NETWORK, {"network": name}, actor)


def under_way(agent: Agent) -> dict[str, Command]:
    """The newest open change of each network of the agent, by the network's name."""
    query = select(Command).where(
        Command.agent_id == agent.id, Command.kind.in_(CHANGES), Command.state.in_(OPEN_STATES)
    )
    return {str(one.payload["network"]): one for one in db.session.scalars(query.order_by(Command.seq))}


def _change(agent: Agent, kind: CommandKind, payload: dict[str, Any], actor: User | None) -> Command:
    name = str(payload["network"])
    last = under_way(agent).get(name)
    if last is not None and last.kind == kind:
        return last
    command = commands.enqueue(agent, kind, payload=payload, actor=actor, run_timeout=RUN_TIMEOUT, resource=RESOURCE)
    verb = "attach-network" if kind is CommandKind.ATTACH_NETWORK else "detach-network"
    events.record(actor, "agent", verb, agent.id, agent.name, after={"network": name}, command_id=command.id)
    for topic in ("networks", "containers"):
        wake_after_commit(topic)
    return command


def _require_network(agent: Agent, name: str) -> Network:
    facts = require_docker(agent)
    network = facts.network(name)
    if network is None:
        raise NotFound(_("There is no such network on this agent any more. The list shows those that exist."))
    if not facts.is_nginx_contained:
        raise Conflict(
            _(
                "nginx of %(name)s runs on the machine itself, which reaches every container without being joined.",
                name=agent.name,
            )
        )
    return network


def require_docker(agent: Agent) -> DockerFacts:
    """What is known of the agent's Engine. Raises Conflict when there is none that it can speak to."""
    facts = docker_facts.of(agent)
    if not facts.is_present:
        raise Conflict(
            _("Docker is not reachable on %(name)s. %(problem)s", name=agent.name, problem=facts.problem).rstrip()
        )
    return facts


def _require_editor(actor: User | None) -> None:
    if actor is not None and not actor.may_edit:
        raise Forbidden(_("Your role lets you look, not change. Ask an administrator for the operator role."))
