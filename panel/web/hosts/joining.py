"""The host form and Docker: filled from a container, and nginx joined to its network when the host is saved.
May import: Flask, panel.models, panel.services, panel.web.hosts.forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from panel.models import Agent, ProxyHost, User
from panel.services import agents, containers, docker_facts, networks
from panel.services.docker_facts import Container
from panel.services.labels import HOST
from panel.web.hosts.forms import ProxyHostForm


@dataclass(frozen=True)
class Origin:
    """The container that an empty form was filled from."""

    container: str
    agent: str
    remark: str


@dataclass(frozen=True)
class Join:
    """The network that nginx must be joined to before it reaches what is typed, and whether the person wants that."""

    network: str
    agent: str
    is_wanted: bool


def find(args: Mapping[str, str]) -> tuple[Agent, Container] | None:
    """The container that a link names (?agent=…&container=…); None when it is gone or nginx's own."""
    if not args.get("container"):
        return None
    agent = next((one for one in agents.list_all() if one.id == args.get("agent")), None)
    container = docker_facts.of(agent).container(args["container"]) if agent else None
    return (agent, container) if agent and container and not container.is_own else None


def values(agent: Agent, container: Container) -> dict[str, Any]:
    """What the form is filled with."""
    way = containers.suggest(docker_facts.of(agent), container)
    return {
        "domain_names": container.labels.get(HOST, "").replace(",", "\n"),
        "agent_id": agent.id,
        "forward_scheme": way.scheme,
        "forward_host": way.host,
        "forward_port": str(way.port or ""),
    }


def origin(args: Mapping[str, str]) -> Origin | None:
    """What the form says of where its values come from."""
    found = find(args)
    if found is None:
        return None
    agent, container = found
    remark = containers.suggest(docker_facts.of(agent), container).remark
    return Origin(container.name, agent.name, remark)


def offer(form: ProxyHostForm, posted: Mapping[str, str]) -> Join | None:
    """What must be said before the host is saved: nginx does not share a network with the container that is typed.

    A switch that the person has not seen yet stands at yes.
    """
    agent = form.chosen_agent()
    network = containers.network_to_join(agent, str(form.forward_host.data or "")) if agent else None
    if agent is None or network is None:
        return None
    has_seen = posted.get("join_for") == network.name
    return Join(network.name, agent.name, is_wanted=posted.get("join") == "y" if has_seen else True)


def carry_out(form: ProxyHostForm, posted: Mapping[str, str], host: ProxyHost, actor: User) -> str:
    """Joins nginx to the network that the person was told of and wants; its name, or "". Raises Conflict."""
    wish = offer(form, posted) if posted.get("join_for") else None
    if wish is None or posted.get("join_for") != wish.network or not wish.is_wanted:
        return ""
    networks.attach(host.agent, wish.network, actor)
    return wish.network
