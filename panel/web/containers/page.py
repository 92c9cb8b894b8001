"""The values of the list of containers, the same for the page and for what changes on it by itself.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import current_app

from panel.i18n import lazy_gettext
from panel.models import Agent
from panel.models.types import utcnow
from panel.services import agents, containers, docker_facts, label_hosts
from panel.web import listing, told
from panel.web.containers import view
from panel.web.containers.view import ContainerRow, OfferView
from panel.web.listing import Facet, Shape
from panel.web.networks import engine
from panel.web.status import SEVERITY
from panel.web.told import Sieve

CONTAINERS = Shape(
    path="/containers",
    facets={
        "status": Facet(
            lazy_gettext("Status"),
            {
                "proxied": lazy_gettext("A host leads to it"),
                "free": lazy_gettext("No host yet"),
                "offered": lazy_gettext("Offers a host"),
                "down": lazy_gettext("Not running"),
            },
        )
    },
    columns={
        "name": (lazy_gettext("Container"), False),
        "status": (lazy_gettext("State"), False),
        "agent": (lazy_gettext("Agent"), False),
    },
    default_sort="name",
)
_SIEVE = Sieve[ContainerRow](
    statuses={
        "proxied": lambda row: bool(row.hosts),
        "free": lambda row: not row.hosts and not row.is_own,
        "offered": lambda row: row.is_offered,
        "down": lambda row: row.status.tone in {"off", "warn", "bad"},
    },
    texts=lambda row: (row.name, row.image, *(name for name, _ in row.networks)),
    columns={
        "name": lambda row: (row.name, row.agent_name),
        "agent": lambda row: (row.agent_name, row.name),
        "status": lambda row: (SEVERITY[row.status.tone], row.name),
    },
)


def list_values(args: Mapping[str, str]) -> dict[str, Any]:
    """What the list shows for a URL's parameters."""
    everyone = agents.list_joined()
    query = listing.parse(CONTAINERS, args, {"agent": listing.agents_facet(everyone)})
    offers = [one for agent in everyone for one in _offers(agent)]
    offering = {(one.agent_id, one.container_id) for one in offers}
    found = [row for agent in everyone for row in _rows(agent, offering)]
    return {
        **told.values(found, query, _SIEVE),
        "offers": offers,
        "engines": engine.views(everyone, utcnow(), current_app.config["WAYPOST"]),
    }


def _offers(agent: Agent) -> list[OfferView]:
    return [view.offer(agent, wish) for wish in label_hosts.offers(agent)]


def _rows(agent: Agent, offering: set[tuple[str, str]]) -> list[ContainerRow]:
    facts = docker_facts.of(agent)
    if not facts.containers:
        return []
    hosts = containers.hosts_by_container(agent, facts)
    return [
        view.row(agent, facts, one, hosts.get(one.id, ()), is_offered=(agent.id, one.id) in offering)
        for one in facts.containers
    ]
