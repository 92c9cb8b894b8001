"""What is saved and not live yet, as plain values: the dock, and the review of all changes.
May import: panel.models, panel.nginx.grammar, panel.services, panel.web.hosts.preview."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from panel.i18n import gettext as _
from panel.models import Agent, CommandKind, ProxyHost
from panel.nginx.grammar import display_name
from panel.services import commands, deployments, history, host_queries, waiting
from panel.services.history import Change
from panel.web.hosts import preview
from panel.web.hosts.preview import FileView


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
    """All that an apply would bring to one agent."""

    agent: Agent
    hosts: tuple[ChangedHost, ...]


def review() -> list[AgentChanges]:
    """Every change that is not live, by agent."""
    hosts = host_queries.by_ids([host.id for host in deployments.unapplied_hosts()])  # with their tags
    changes = history.last_changes("proxy_host", [host.id for host in hosts])
    agents = {host.agent_id: host.agent for host in hosts}
    return [
        AgentChanges(agent, tuple(_changed(h, changes.get(str(h.id))) for h in hosts if h.agent_id == agent.id))
        for agent in sorted(agents.values(), key=lambda agent: agent.name)
    ]


def _changed(host: ProxyHost, change: Change | None) -> ChangedHost:
    return ChangedHost(host, display_name(host.primary_name), _what(host), change, preview.of_saved(host))


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


def _job_url(agents: Iterable[str]) -> str:
    """The job to watch when every agent concerned has an apply under way."""
    under_way = [commands.find_open(agent_id, CommandKind.APPLY_CONFIG) for agent_id in agents]
    found = [command for command in under_way if command is not None]
    if len(found) < len(under_way):
        return ""
    return f"/jobs/{found[0].id}" if len(found) == 1 else "/jobs"
