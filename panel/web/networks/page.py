"""The values of the list of networks, the same for the page and for what changes on it by itself.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import current_app

from panel.i18n import lazy_gettext
from panel.models import Agent
from panel.models.types import utcnow
from panel.services import agents, containers, docker_facts, networks
from panel.services.paging import cut
from panel.web import listing
from panel.web.listing import Facet, ListQuery, Shape
from panel.web.networks import engine, view
from panel.web.networks.view import NetworkRow

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
_IS: Mapping[str, Callable[[NetworkRow], bool]] = {
    "attached": lambda row: row.status in {view.ATTACHED, view.FOUND},
    "lost": lambda row: row.status in {view.LOST, view.GONE},
    "free": lambda row: row.status in {view.FREE, view.UNNEEDED},
}
_KEYS: Mapping[str, Callable[[NetworkRow], tuple[object, ...]]] = {
    "name": lambda row: (row.name, row.agent_name),
    "agent": lambda row: (row.agent_name, row.name),
    "status": lambda row: (view.SEVERITY[row.status.tone], row.name),
}


def list_values(args: Mapping[str, str]) -> dict[str, Any]:
    """What the list shows for a URL's parameters."""
    everyone = [agent for agent in agents.list_all() if agent.has_joined and not agent.is_revoked]
    query = listing.parse(NETWORKS, args, {"agent": listing.agents_facet(everyone)})
    found = [row for agent in everyone for row in rows(agent)]
    page = cut(_choose(found, query), query.page, query.per_page)
    return {
        "query": query,
        "region": listing.region(query),
        "rows": page.items,
        "page": page,
        "total": len(found),
        "columns": listing.columns(query),
        "filters": listing.filters(query),
        "sizes": listing.sizes(query),
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


def _choose(found: Sequence[NetworkRow], query: ListQuery) -> list[NetworkRow]:
    words = query.query.lower()
    kept = [
        row
        for row in found
        if (not query.agent_id or row.agent_id == query.agent_id)
        and (not query.status or _IS[query.status](row))
        and (not words or words in row.name.lower() or any(words in one for one in row.subnets))
    ]
    return sorted(kept, key=_KEYS[query.sort], reverse=query.descending)
