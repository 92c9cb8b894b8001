"""What is wrong with agents and their nginx: gone, not let in, not running, edited by hand, changes that wait.
May import: panel.services.{estate,troubles}, panel.models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from panel.i18n import gettext as _
from panel.i18n import ngettext, translated
from panel.models import Agent, AgentStatus
from panel.services.estate import Estate, Waiting
from panel.services.troubles import Action, Kind, Tone, Trouble, sentence, some

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
    waits = ngettext("%(num)s change for it waits", "%(num)s changes for it wait", waiting.count) if waiting else ""
    keeps = (
        ngettext("Its %(num)s host keeps serving", "Its %(num)s hosts keep serving", hosts.live) if hosts.live else ""
    )
    if status is AgentStatus.OFFLINE:
        revision = (
            _(
                "%(keeps)s revision %(short_revision)s until it returns",
                keeps=keeps,
                short_revision=agent.short_revision,
            )
            if keeps
            else ""
        )
        why = sentence(revision, waits) or _("No host is served by it.")
        yield _trouble(Kind.AGENT_GONE, Tone.BAD, agent, _("Agent {} stopped reporting"), why, seen=True)
    if status is AgentStatus.REFUSED:
        why = sentence(translated(agent.refused_because), keeps, waits)
        yield _trouble(Kind.AGENT_REFUSED, Tone.BAD, agent, _("Agent {} is not let in"), why)
    is_late = estate.now - agent.created_at > JOINED_WITHIN
    if status is AgentStatus.WAITING and hosts.total and is_late:
        why = ngettext(
            "%(num)s host saved for it is served by nobody.",
            "%(num)s hosts saved for it are served by nobody.",
            hosts.total,
        )
        yield _trouble(Kind.AGENT_WAITING, Tone.WARN, agent, _("Agent {} has not joined yet"), why)


def _nginx(estate: Estate, agent: Agent) -> Iterator[Trouble]:
    live = estate.host_counts[agent.id].live
    if not agent.nginx_running:
        dark = ngettext("%(num)s host is not served", "%(num)s hosts are not served", live) if live else ""
        why = sentence(dark, agent.nginx_problem)
        yield _trouble(Kind.NGINX_DOWN, Tone.BAD, agent, _("nginx on {} is not running"), why)
    elif agent.nginx_problem:
        why = sentence(agent.nginx_problem)
        yield _trouble(Kind.NGINX_PROBLEM, Tone.WARN, agent, _("Something is wrong with nginx on {}"), why)
    if agent.certificates_problem:
        what = _("Agent {} cannot look after its certificates")
        why = sentence(agent.certificates_problem, _("None of them is renewed until that is mended"))
        yield _trouble(Kind.CERTIFICATES_STUCK, Tone.WARN, agent, what, why)


def _forgotten(estate: Estate, agent: Agent) -> Iterator[Trouble]:
    waiting: Waiting | None = estate.waiting.get(agent.id)
    if waiting is None or waiting.since > estate.now - FORGOTTEN_AFTER or agent.apply_error:
        return
    yield Trouble(
        Kind.UNAPPLIED,
        Tone.WARN,
        agent.name,
        ngettext(
            "%(num)s change for {} is saved but not live",
            "%(num)s changes for {} are saved but not live",
            waiting.count,
        ),
        sentence(_("%(some)s: visitors get what was applied before", some=some(waiting.names))),
        Action(_("Review changes"), "/changes"),
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
        _("The last apply on {} failed"),
        sentence(agent.apply_error, _("What was live before keeps serving")),
        Action(_("Open job") if agent.apply_error_command_id else _("Open agent"), address),
        agent_id=agent.id,
        agent_name=agent.name,
    )


def _drift(agent: Agent) -> Trouble:
    what = ngettext(
        "%(num)s file of nginx on {} was changed by hand",
        "%(num)s files of nginx on {} were changed by hand",
        len(agent.drift),
    )
    return Trouble(
        Kind.DRIFT,
        Tone.WARN,
        agent.name,
        what,
        _("The next apply writes them anew."),
        Action(_("Show difference"), f"/agents/{agent.id}#h-edits"),
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
        Action(_("Open agent"), f"/agents/{agent.id}"),
        agent_id=agent.id,
        agent_name=agent.name,
        at=agent.last_seen_at if seen else None,
        since=_("last heard from") if seen else _("since"),
    )
