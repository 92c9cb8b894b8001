"""The values of the list of agents and of one agent's page, the same for the page and for what changes by itself.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from panel.config import Config
from panel.i18n import lazy_gettext
from panel.models import Agent
from panel.services import agents, proxy_hosts
from panel.services.paging import cut
from panel.web import listing
from panel.web.agents import edits, view
from panel.web.hosts import page as hosts
from panel.web.jobs import lines
from panel.web.listing import Shape
from panel.web.networks import engine

HOSTS_SHOWN = 10
JOBS_SHOWN = 8
AGENTS = Shape(path="/agents", facets={}, columns={"name": (lazy_gettext("Agent"), False)}, default_sort="name")


def list_values(args: Mapping[str, str], now: datetime, config: Config) -> dict[str, Any]:
    """What the list shows for a URL's parameters: revoked ones last."""
    query = listing.parse(AGENTS, args)
    words = query.query.lower()
    everyone = sorted(agents.list_all(), key=lambda agent: (agent.is_revoked, agent.name))
    found = cut([one for one in everyone if words in f"{one.name} {one.hostname}".lower()], query.page, query.per_page)
    return {
        "query": query,
        "region": listing.region(query),
        "cards": view.cards(found.items, now, config),
        "page": found,
        "sizes": listing.sizes(query),
        "total": len(everyone),
    }


def values(agent: Agent, now: datetime, config: Config) -> dict[str, Any]:
    """What the page of `agent` shows at `now`."""
    found = proxy_hosts.list_page(agent_id=agent.id, sort="status", descending=False, per_page=HOSTS_SHOWN)
    status = agents.status(agent, now, config)
    return {
        "agent": agent,
        "card": view.card(agent, now, config),
        "rows": hosts.rows(found.items, {agent.id: status}),
        "host_count": found.total,
        "jobs": lines.recent(agent.id, JOBS_SHOWN),
        "edits": edits.now(agent),
        "earlier_edits": edits.earlier(agent),
        "engine": engine.view(agent, now, config),
        "token_expires_at": agents.join_token_expiry(agent, now),
    }
