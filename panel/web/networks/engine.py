"""The Docker Engine of an agent in words: is it reachable, where nginx runs, how old the report is.
May import: panel.config, panel.models, panel.services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from panel.config import Config
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Agent, AgentStatus
from panel.services import agents, docker_facts

_HERE = frozenset({AgentStatus.ONLINE, AgentStatus.SYNCING})
REMEDY = lazy_gettext(
    "Give the agent access to Docker's socket: mount /var/run/docker.sock into its "
    "container, or add its user to the group docker. Another address is told by "
    "AGENT_DOCKER_HOST; “off” there says that Docker is not used."
)


@dataclass(frozen=True)
class EngineView:
    """One agent's Engine. `tone` and `word` make a pill; `next_step` is empty when nothing needs doing. `is_old`: the
    agent is away, so that all this is what it said at `reported_at`."""

    agent_id: str
    agent_name: str
    tone: str
    word: str
    sentence: str
    next_step: str
    is_present: bool
    is_old: bool
    reported_at: datetime | None
    version: str
    nginx_container: str
    trusts_labels: bool


def view(agent: Agent, now: datetime, config: Config) -> EngineView:
    """How the agent's Engine is, as far as the panel knows."""
    facts = docker_facts.of(agent)
    tone, word, sentence, next_step = _words(agent, facts)
    return EngineView(
        agent_id=agent.id,
        agent_name=agent.name,
        tone=tone,
        word=word,
        sentence=sentence,
        next_step=next_step,
        is_present=facts.is_present,
        is_old=agents.status(agent, now, config) not in _HERE,
        reported_at=agent.docker_at,
        version=facts.version,
        nginx_container=facts.nginx_container,
        trusts_labels=agent.trusts_labels,
    )


def views(everyone: Iterable[Agent], now: datetime, config: Config) -> list[EngineView]:
    """Of each of these agents."""
    return [view(agent, now, config) for agent in everyone]


def _words(agent: Agent, facts: docker_facts.DockerFacts) -> tuple[str, str, str, str]:
    if agent.docker_at is None:
        return (
            "off",
            _("Not told yet"),
            _("It has not told the panel about Docker yet."),
            _("An agent that is online does."),
        )
    if not facts.is_present and facts.problem:
        return "bad", _("Not reachable"), facts.problem, REMEDY
    if not facts.is_present:
        return (
            "off",
            _("Not used"),
            _("Docker is not used on this machine, or it is switched off for the agent."),
            REMEDY,
        )
    if facts.is_nginx_contained:
        return (
            "ok",
            _("Reachable"),
            _("nginx runs in the container %(nginx_container)s.", nginx_container=facts.nginx_container),
            "",
        )
    sentence = _("nginx runs on the machine itself, which reaches every container without being joined to its network.")
    return "ok", _("Reachable"), sentence, ""
