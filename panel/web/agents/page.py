"""The values of one agent's page, the same for the page and for what changes on it by itself.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from panel.config import Config
from panel.models import Agent
from panel.services import agents, proxy_hosts
from panel.web.agents import edits, view
from panel.web.hosts import page as hosts
from panel.web.jobs import lines
from panel.web.networks import engine

HOSTS_SHOWN = 10
JOBS_SHOWN = 8


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
