"""What the agents pages show, as plain values: a card, the facts, what an agent lacks.
May import: panel.config, panel.models, panel.services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from panel.config import Config
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext, ngettext, translated
from panel.models import Agent, AgentStatus
from panel.services import agents, host_queries
from panel.services.host_queries import HostCount

PILLS = {
    AgentStatus.WAITING: ("run", lazy_gettext("Waiting for first contact")),
    AgentStatus.SYNCING: ("run", lazy_gettext("Syncing")),
    AgentStatus.ONLINE: ("ok", lazy_gettext("Online")),
    AgentStatus.STALE: ("warn", lazy_gettext("Not heard from")),
    AgentStatus.OFFLINE: ("bad", lazy_gettext("Offline")),
    AgentStatus.REFUSED: ("bad", lazy_gettext("Not let in")),
    AgentStatus.REVOKED: ("off", lazy_gettext("Revoked")),
}


@dataclass(frozen=True)
class Note:
    """A box under an agent's facts: what is wrong, and what that means."""

    kind: str
    headline: str
    sentence: str


NOTES = {
    AgentStatus.WAITING: Note(
        "info",
        lazy_gettext("It has not joined yet."),
        lazy_gettext("Run its join command on the machine. Hosts can be saved for it already."),
    ),
    AgentStatus.STALE: Note(
        "warn",
        lazy_gettext("It is silent for a moment."),
        lazy_gettext("The last configuration keeps serving. Often the network has a short break."),
    ),
    AgentStatus.OFFLINE: Note(
        "bad",
        lazy_gettext("The last configuration keeps serving."),
        lazy_gettext("Changes wait here and apply when the agent returns."),
    ),
    AgentStatus.REVOKED: Note(
        "info",
        lazy_gettext("It may not connect any more."),
        lazy_gettext("Its nginx goes on with the last configuration; nothing reaches it from here."),
    ),
}


@dataclass(frozen=True)
class Card:
    """One agent in the list."""

    id: str
    name: str
    hostname: str
    status: AgentStatus
    tone: str
    word: str
    revision_tone: str
    revision: str
    software: str
    host_count: int
    last_seen_at: datetime | None
    note: Note | None
    problem: str
    edited: int


def card(agent: Agent, now: datetime, config: Config, count: HostCount | None = None) -> Card:
    """An agent as the list shows it, now; `count` is asked for when it is not known."""
    count = count or host_queries.count_by_agent([agent.id])[agent.id]
    status = agents.status(agent, now, config)
    tone, word = PILLS[status]
    behind = count.unapplied
    return Card(
        id=agent.id,
        name=agent.name,
        hostname=agent.hostname,
        status=status,
        tone=tone,
        word=word,
        revision_tone="warn" if behind else "ok" if agent.applied_revision else "off",
        revision=revision_words(agent, behind),
        software=", ".join(filter(None, [f"nginx {agent.nginx_version}" if agent.nginx_version else "", agent.os])),
        host_count=count.hosts,
        last_seen_at=agent.last_seen_at,
        note=Note("bad", _("The panel does not let it in."), translated(agent.refused_because))
        if status is AgentStatus.REFUSED
        else NOTES.get(status),
        problem=problem(agent),
        edited=len(agent.drift),
    )


def cards(everyone: Sequence[Agent], now: datetime, config: Config) -> list[Card]:
    """These agents in their order, with what is asked about all of them at once."""
    counts = host_queries.count_by_agent([agent.id for agent in everyone])
    return [card(agent, now, config, counts[agent.id]) for agent in everyone]


def revision_words(agent: Agent, behind: int) -> str:
    """The applied revision, in sync or so many changes behind."""
    applied = (
        _("Revision %(short_revision)s", short_revision=agent.short_revision)
        if agent.applied_revision
        else _("Nothing applied yet")
    )
    if behind:
        return ngettext(
            "%(applied)s, %(num)s change behind", "%(applied)s, %(num)s changes behind", behind, applied=applied
        )
    return _("%(applied)s, in sync", applied=applied) if agent.applied_revision else applied


def problem(agent: Agent) -> str:
    """What nginx or the last apply complains about; empty when nothing."""
    return agent.apply_error or agent.nginx_problem


@dataclass(frozen=True)
class Join:
    """The one command that makes a machine this agent. Shown once."""

    command: str
    expires_at: datetime | None
    warnings: tuple[str, ...]


def join(token: str, expires_at: datetime | None, panel_url: str, config: Config) -> Join:
    """The command for `token`, and why another machine might not reach this panel."""
    return Join(f"make agent PANEL={panel_url} TOKEN={token}", expires_at, tuple(_warnings(panel_url, config)))


def _warnings(panel_url: str, config: Config) -> list[str]:
    found = []
    closed = [f"{variable}=0.0.0.0" for variable, host in _listeners(config).items() if _is_loopback(host)]
    if closed:
        found.append(
            _(
                "This panel listens on this machine only, so an agent elsewhere cannot reach it. "
                "Start the panel with %(join)s first.",
                join=" ".join(closed),
            )
        )
    if panel_url.startswith("http://") and not closed:
        found.append(
            _(
                "The address is plain http. The token carries the fingerprint of this panel's CA,"
                " so nobody can pose as it; but whoever reads the network could use the token "
                "before the agent does."
            )
        )
    return found


def _listeners(config: Config) -> dict[str, str]:
    """What an agent elsewhere must reach; behind a public address something else stands before the pages."""
    pages = {} if config.public_url else {"PANEL_HOST": config.host}
    return pages | {"PANEL_STREAM_HOST": config.stream_host}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
