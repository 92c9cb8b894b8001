"""The values of the list and of one host's page.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import current_app

from panel.models import Agent, AgentStatus, ProxyHost
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.services import agents, certificates, jobs, proxy_hosts
from panel.services.upstreams import of_host
from panel.web import listing
from panel.web.certificates.view import host_tls, last_trouble
from panel.web.certificates.words import is_test
from panel.web.hosts import history, preview, upstream, view
from panel.web.hosts.listing import HOSTS
from panel.web.jobs import lines

JOBS_SHOWN = 5


def list_values(args: Mapping[str, str]) -> dict[str, Any]:
    """What the list shows for a URL's parameters."""
    everyone = agents.list_all()
    query = listing.parse(HOSTS, args, everyone)
    found = proxy_hosts.list_page(
        query=query.query,
        agent_id=query.agent_id or None,
        status=query.status or None,
        sort=query.sort,
        descending=query.descending,
        page=query.page,
        per_page=listing.PER_PAGE,
    )
    statuses = agent_statuses(everyone)
    return {
        "query": query,
        "rows": rows(found.items, statuses),
        "page": found,
        "columns": listing.columns(query),
        "filters": listing.filters(query, everyone),
        "host_total": proxy_hosts.list_page(per_page=1).total,
        "has_agents": any(not agent.is_revoked for agent in everyone),
    }


def rows(hosts: Sequence[ProxyHost], statuses: Mapping[str, AgentStatus]) -> list[view.HostRow]:
    """Hosts as lines of the list; `statuses` are those of the agents."""
    under_way = jobs.open_about([host.certificate_id for host in hosts if host.certificate_id])
    health = upstream.health_of(host.agent for host in hosts)
    return [
        view.host_row(
            host,
            statuses[host.agent_id],
            upstream.status(health[host.agent_id].get(of_host(host)), statuses[host.agent_id]),
            under_way.get(host.certificate_id or 0),
        )
        for host in hosts
    ]


def agent_statuses(everyone: Sequence[Agent]) -> dict[str, AgentStatus]:
    """How each agent is now, by id."""
    now = utcnow()
    return {agent.id: agents.status(agent, now, current_app.config["WAYPOST"]) for agent in everyone}


def host_values(host: ProxyHost) -> dict[str, Any]:
    """What one host's page shows."""
    agent_status = agents.status(host.agent, utcnow(), current_app.config["WAYPOST"])
    file = preview.of_saved(host)
    open_job = jobs.open_about([host.certificate_id]).get(host.certificate_id) if host.certificate_id else None
    tls = host_tls(host, open_job, utcnow())
    reach = upstream.view(host, agent_status)
    return {
        "host": host,
        "name": display_name(host.primary_name),
        "names": [display_name(name) for name in host.domain_names],
        "status": view.host_status(host, agent_status),
        "tls": tls,
        "tls_job": open_job,
        "tls_trouble": last_trouble(host.certificate) if host.certificate else None,
        "is_test": host.certificate is not None and is_test(host.certificate),
        "has_wildcard": any(name.startswith("*.") for name in host.domain_names),
        "usable": [] if host.certificate or host.is_deleted else certificates.matching(host),
        "upstream": reach,
        "hops": view.host_route(host, agent_status, tls, reach.status),
        "site_url": view.site_url(host),
        "refusal": view.host_refusal(host, file.path or host.live_path),
        "file": file,
        "live_text": preview.live_text(host),
        "jobs": lines.recent(host.agent_id, JOBS_SHOWN),
        **history.values(host),
    }
