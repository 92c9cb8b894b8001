"""What is saved and not live yet, as plain values: the dock, and the review of all changes.
May import: panel.models, panel.nginx.grammar, panel.services, panel.web.hosts.preview."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from panel.i18n import gettext as _
from panel.models import Agent, CommandKind, ProxyHost
from panel.nginx.grammar import display_name
from panel.services import commands, deployments, history, host_queries, waiting
from panel.services.history import Change
from panel.services.paging import Page
from panel.web.hosts import preview
from panel.web.hosts.preview import FileView

PER_PAGE = 25  # differences; all of them may be thousands


@dataclass(frozen=True)
class Dock:
    """The bar at the foot of the page. `job_url` is set while all of it is being applied."""

    count: int
    names: str
    people: str
    agent_count: int
    job_url: str


def dock() -> Dock | None:
    """The bar for now, or None when everything that is saved is live."""
    found = waiting.read()
    if not found.count:
        return None
    more = found.count - len(found.names)
    return Dock(
        count=found.count,
        names=", ".join(map(display_name, found.names)) + (_(" and %(more)s more", more=f"{more:,}") if more else ""),
        people=_people(found.people),
        agent_count=len(found.agent_ids),
        job_url=_job_url(found.agent_ids),
    )


@dataclass(frozen=True)
class ChangedHost:
    """One host that differs from what is live: what it would be, who changed it and when."""

    host: ProxyHost
    name: str
    what: str
    by: Change | None
    file: FileView


@dataclass(frozen=True)
class AgentChanges:
    """What an apply would bring to one agent: the changes of this page, and how many there are in all."""

    agent: Agent
    hosts: tuple[ChangedHost, ...]
    total: int
    test_url: str


@dataclass(frozen=True)
class Review:
    """One page of the changes that are not live, by agent, and how many agents there are on all pages."""

    page: Page[ProxyHost]
    agents: tuple[AgentChanges, ...]
    agent_count: int


def review(page: int) -> Review:
    """A page of everything that is not live."""
    found = waiting.list_page(page, PER_PAGE)
    hosts = found.items
    changes = history.last_changes("proxy_host", [host.id for host in hosts])
    live = deployments.live_files(hosts)
    changed = [_changed(host, changes.get(str(host.id)), preview.of_saved(host, live)) for host in hosts]
    totals = host_queries.count_by_agent([host.agent_id for host in hosts])
    agents = {host.agent_id: host.agent for host in hosts}.values()
    parts = [(agent, tuple(one for one in changed if one.host.agent_id == agent.id)) for agent in agents]
    shown = tuple(AgentChanges(agent, own, totals[agent.id].unapplied, _test_url(own)) for agent, own in parts)
    return Review(found, shown, len(waiting.read().agent_ids))


def _test_url(changed: Sequence[ChangedHost]) -> str:
    """What tests all that is saved for the agent: a host as it is saved is tested within all the others."""
    fit = (one.host for one in changed if one.host.is_enabled and not one.host.is_deleted and not one.host.is_refused)
    host = next(fit, None)
    return f"/hosts/{host.id}/test" if host is not None else ""


def _changed(host: ProxyHost, change: Change | None, file: FileView) -> ChangedHost:
    return ChangedHost(host, display_name(host.primary_name), _what(host), change, file)


def _what(host: ProxyHost) -> str:
    if host.is_deleted:
        return _("Deleted")
    if host.is_refused:
        return _("Refused by nginx")
    if not host.is_enabled:
        return _("Disabled")
    return _("Changed") if host.is_live else _("New")


def _people(names: Sequence[str]) -> str:
    """Who saved them, so that nobody applies another's work unknowingly."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + _(" and ") + names[-1] if names else ""


def _job_url(agents: Sequence[str]) -> str:
    """The job to watch when every agent concerned has an apply under way."""
    found = commands.find_open_of(agents, CommandKind.APPLY_CONFIG)
    if len(found) < len(agents):
        return ""
    return f"/jobs/{found[agents[0]].id}" if len(found) == 1 else "/jobs"
