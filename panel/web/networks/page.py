"""The values of the list of networks, the same for the page and for what changes on it by itself.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import current_app

from panel.i18n import lazy_gettext
from panel.models import Agent
from panel.models.types import utcnow
from panel.services import agents, containers, docker_facts, networks
from panel.web import listing, told
from panel.web.listing import Facet, Shape
from panel.web.networks import engine, view
from panel.web.networks.view import NetworkRow
from panel.web.status import SEVERITY
from panel.web.told import Sieve

NETWORKS = Shape(
    path="/networks",
    facets={
        "status": Facet(
            lazy_gettext("Status"),
            {
                "attached": lazy_gettext("Attached"),
                "lost": lazy_gettext("Wanted, not attached"),
                "free": lazy_gettext("Not attached"),
            },
        )
    },
    columns={
        "name": (lazy_gettext("Network"), False),
        "agent": (lazy_gettext("Agent"), False),
        "status": ("nginx", False),
    },
    default_sort="name",
)
_SIEVE = Sieve[NetworkRow](
    statuses={
        "attached": lambda row: row.status in {view.ATTACHED, view.FOUND},
        "lost": lambda row: row.status in {view.LOST, view.GONE},
        "free": lambda row: row.status in {view.FREE, view.UNNEEDED},
    },
    texts=lambda row: (row.name, *row.subnets),
    columns={
        "name": lambda row: (row.name, row.agent_name),
        "agent": lambda row: (row.agent_name, row.name),
        "status": lambda row: (SEVERITY[row.status.tone], row.name),
    },
)


def list_values(args: Mapping[str, str]) -> dict[str, Any]:
    """What the list shows for a URL's parameters."""
    everyone = agents.list_joined()
    query = listing.parse(NETWORKS, args, {"agent": listing.agents_facet(everyone)})
    found = [row for agent in everyone for row in rows(agent)]
    return {
        **told.values(found, query, _SIEVE),
        "engines": engine.views(everyone, utcnow(), current_app.config["WAYPOST"]),
    }


def rows(agent: Agent) -> list[NetworkRow]:
    """The networks of one agent."""
    facts = docker_facts.of(agent)
    if not facts.networks:
        return []
    by_container, jobs = containers.hosts_by_container(agent, facts), networks.under_way(agent)
    return [
        view.row(agent, facts, one, view.hosts_in(one, facts, by_container), jobs.get(one.name))
        for one in facts.networks
    ]
