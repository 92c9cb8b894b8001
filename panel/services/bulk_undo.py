"""Taking a bulk change back: each host gets back what that change took, unless somebody changed it since.
May import: panel.services.{bulk,coverage,domain_names,proxy_hosts} and below."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from panel.errors import Invalid
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import DomainName, Event, ProxyHost, User
from panel.nginx.grammar import display_name
from panel.services import bulk, coverage, domain_names, proxy_hosts
from panel.services.bulk import Left, Outcome, Selection, Step

# What a bulk change records, and what its opposite is called.
OPPOSITES = {"delete": "restore", "enable": "disable", "disable": "enable", "update": "update", "link": "update"}
_AT_ONCE = 200  # hosts whose names are written between two moments for others
MOST = 10_000  # events of one change


def undo(first: int, last: int, actor: User) -> Outcome:
    """Takes back the change of many hosts whose events begin and end there, one generation and one apply per agent.

    Nothing else that was recorded in between is touched. Hosts that changed since, or whose names were taken, are left
    and named. Raises Forbidden.
    """
    proxy_hosts.require_editor(actor)
    done = _events(first, min(last, first + MOST))
    hosts = {host.id: host for host in bulk.find(Selection(tuple(int(event.object_id) for event in done)))}
    taken = _holders([hosts[int(e.object_id)] for e in done if e.after is None and int(e.object_id) in hosts])
    steps, left = [], []
    for event in done:
        host = hosts.get(int(event.object_id))
        step = _("It does not exist any more.") if host is None else _plan(host, event, taken)
        if isinstance(step, Step):
            steps.append(step)
        else:
            left.append(Left(display_name(event.object_name), step))
    outcome = bulk.save(steps, left, actor)
    back = [step.host for step in steps if step.verb == "restore"]
    for start in range(0, len(back), _AT_ONCE):
        domain_names.claim_all(back[start : start + _AT_ONCE])
        bulk.breathe()
    return outcome


def can_undo(event: Event) -> bool:
    """Whether it is of a kind that is taken back for many hosts at once."""
    noun, _, verb = event.verb.partition(":")
    return noun == "proxy_host" and verb in OPPOSITES


def _events(first: int, last: int) -> list[Event]:
    begun = db.session.get(Event, first)
    if begun is None or begun.actor_id is None:
        return []
    query = select(Event).where(Event.id.between(first, last), Event.at == begun.at, Event.actor_id == begun.actor_id)
    return [event for event in db.session.scalars(query.order_by(Event.id)) if can_undo(event)]


def _plan(host: ProxyHost, event: Event, taken: dict[tuple[str, str], str]) -> Step | str:
    verb = OPPOSITES[event.verb.partition(":")[2]]
    return _restore(host, taken) if verb == "restore" else _put_back(host, event, verb)


def _restore(host: ProxyHost, taken: dict[tuple[str, str], str]) -> Step | str:
    if not host.is_deleted:
        return _("It is back already.")
    if host.agent.is_revoked:
        return _("The agent %(name)s was revoked meanwhile.", name=host.agent.name)
    for name in host.domain_names:
        if holder := taken.get((host.agent_id, name)):
            return _(
                "%(name)s belongs to %(holder)s now. Change that host first.", name=display_name(name), holder=holder
            )
    return Step(host, lambda one: setattr(one, "deleted_at", None), "restore")


def _put_back(host: ProxyHost, event: Event, verb: str) -> Step | str:
    old, new = event.before or {}, event.after or {}
    changed = {name: old[name] for name in new if name in old and old[name] != new[name]}
    now = proxy_hosts.describe(host)
    if host.is_deleted:
        return _("It was deleted meanwhile.")
    if any(now[name] != new[name] for name in changed):
        return _("Somebody changed it since.")
    try:
        coverage.require(changed.get("certificate_id"), host.agent, host.domain_names)
    except Invalid as refusal:
        return refusal.message
    concerns_nginx = not proxy_hosts.WORDS.issuperset(changed)
    return Step(host, lambda one: _assign(one, changed), verb, concerns_nginx=concerns_nginx)


def _assign(host: ProxyHost, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(host, name, value)


def _holders(hosts: list[ProxyHost]) -> dict[tuple[str, str], str]:
    """Which host has a name that one of these had, by agent and name."""
    names = sorted({name for host in hosts for name in host.domain_names})
    query = select(DomainName.agent_id, DomainName.name, ProxyHost.domain_names).join(
        ProxyHost, ProxyHost.id == DomainName.proxy_host_id
    )
    found: dict[tuple[str, str], str] = {}
    for start in range(0, len(names), domain_names.AT_ONCE):
        rows = db.session.execute(query.where(DomainName.name.in_(names[start : start + domain_names.AT_ONCE])))
        found |= {(agent_id, name): display_name(others[0]) for agent_id, name, others in rows}
    return found
