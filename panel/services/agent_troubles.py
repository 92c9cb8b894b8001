"""What is wrong with agents and their nginx: gone, not let in, not running, edited by hand, changes that wait.
May import: panel.services.{estate,troubles}, panel.models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from panel.models import Agent, AgentStatus
from panel.services.estate import Estate, Waiting
from panel.services.troubles import Action, Kind, Tone, Trouble, count, sentence, some

# So long may a change be saved and not applied before it is likely to have been forgotten.
FORGOTTEN_AFTER = timedelta(minutes=15)
JOINED_WITHIN = timedelta(minutes=10)  # an agent that was named has so long to join before it is asked for


def find(estate: Estate) -> Iterator[Trouble]:
    """Everything about agents, one trouble for each thing."""
    for agent in estate.agents:
        status = estate.statuses[agent.id]
        yield from _absence(estate, agent, status)
        if agent.apply_error:
            yield _failed_apply(agent)
        if status in estate.HERE:
            yield from _nginx(estate, agent)
            yield from _forgotten(estate, agent)
        if agent.drift:
            yield _drift(agent)


def _absence(estate: Estate, agent: Agent, status: AgentStatus) -> Iterator[Trouble]:
    hosts, waiting = estate.host_counts[agent.id], estate.waiting.get(agent.id)
    waits = f"{count(waiting.count, 'change')} for it {'waits' if waiting.count == 1 else 'wait'}" if waiting else ""
    keeps = f"Its {count(hosts.live, 'host')} {'keeps' if hosts.live == 1 else 'keep'} serving" if hosts.live else ""
    if status is AgentStatus.OFFLINE:
        revision = f"{keeps} revision {agent.short_revision} until it returns" if keeps else ""
        why = sentence(revision, waits) or "No host is served by it."
        yield _trouble(Kind.AGENT_GONE, Tone.BAD, agent, "Agent {} stopped reporting", why, seen=True)
    if status is AgentStatus.REFUSED:
        why = sentence(agent.refused_because, keeps, waits)
        yield _trouble(Kind.AGENT_REFUSED, Tone.BAD, agent, "Agent {} is not let in", why)
    is_late = estate.now - agent.created_at > JOINED_WITHIN
    if status is AgentStatus.WAITING and hosts.total and is_late:
        why = f"{count(hosts.total, 'host')} saved for it {'is' if hosts.total == 1 else 'are'} served by nobody."
        yield _trouble(Kind.AGENT_WAITING, Tone.WARN, agent, "Agent {} has not joined yet", why)


def _nginx(estate: Estate, agent: Agent) -> Iterator[Trouble]:
    live = estate.host_counts[agent.id].live
    if not agent.nginx_running:
        dark = f"{count(live, 'host')} {'is' if live == 1 else 'are'} not served" if live else ""
        why = sentence(dark, agent.nginx_problem)
        yield _trouble(Kind.NGINX_DOWN, Tone.BAD, agent, "nginx on {} is not running", why)
    elif agent.nginx_problem:
        why = sentence(agent.nginx_problem)
        yield _trouble(Kind.NGINX_PROBLEM, Tone.WARN, agent, "Something is wrong with nginx on {}", why)
    if agent.certificates_problem:
        what = "Agent {} cannot look after its certificates"
        why = sentence(agent.certificates_problem, "None of them is renewed until that is mended")
        yield _trouble(Kind.CERTIFICATES_STUCK, Tone.WARN, agent, what, why)


def _forgotten(estate: Estate, agent: Agent) -> Iterator[Trouble]:
    waiting: Waiting | None = estate.waiting.get(agent.id)
    if waiting is None or waiting.since > estate.now - FORGOTTEN_AFTER or agent.apply_error:
        return
    is_one = waiting.count == 1
    yield Trouble(
        Kind.UNAPPLIED,
        Tone.WARN,
        agent.name,
        f"{count(waiting.count, 'change')} for {{}} {'is' if is_one else 'are'} saved but not live",
        sentence(f"{some(waiting.names)}: visitors get what was applied before"),
        Action("Review changes", "/changes"),
        agent_id=agent.id,
        agent_name=agent.name,
        at=waiting.since,
    )


def _failed_apply(agent: Agent) -> Trouble:
    address = f"/jobs/{agent.apply_error_command_id}" if agent.apply_error_command_id else f"/agents/{agent.id}"
    return Trouble(
        Kind.APPLY_FAILED,
        Tone.BAD,
        agent.name,
        "The last apply on {} failed",
        sentence(agent.apply_error, "What was live before keeps serving"),
        Action("Open job" if agent.apply_error_command_id else "Open agent", address),
        agent_id=agent.id,
        agent_name=agent.name,
    )


def _drift(agent: Agent) -> Trouble:
    number = len(agent.drift)
    what = f"{count(number, 'file')} of nginx on {{}} {'was' if number == 1 else 'were'} changed by hand"
    return Trouble(
        Kind.DRIFT,
        Tone.WARN,
        agent.name,
        what,
        "The next apply writes them anew.",
        Action("Show difference", f"/agents/{agent.id}#h-edits"),
        agent_id=agent.id,
        agent_name=agent.name,
        at=agent.drift_at,
    )


def _trouble(kind: Kind, tone: Tone, agent: Agent, what: str, why: str, *, seen: bool = False) -> Trouble:
    return Trouble(
        kind,
        tone,
        agent.name,
        what,
        why,
        Action("Open agent", f"/agents/{agent.id}"),
        agent_id=agent.id,
        agent_name=agent.name,
        at=agent.last_seen_at if seen else None,
        since="last heard from" if seen else "since",
    )
