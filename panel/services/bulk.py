"""One change of many hosts: one transaction, one generation and one apply per agent, an event per host.
May import: panel.services.{deployments,domain_names,events,generations,host_queries,proxy_hosts,tags} and below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gevent

from panel.errors import Invalid
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Agent, ProxyHost, User
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.services import deployments, domain_names, events, generations, host_queries, proxy_hosts, tags
from panel.services.host_queries import HostFilter

_BREATH = 50  # hosts between two moments in which others get their turn


@dataclass(frozen=True)
class Selection:
    """Hosts by their ids, or all that a list shows on all its pages."""

    ids: tuple[int, ...] = ()
    wanted: HostFilter | None = None


@dataclass(frozen=True)
class Left:
    """A host that was not changed, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What came of it: the hosts that changed, those that did not, the applies, and the events for undo (first, last).

    Nobody is missing: every host of the selection is in `changed` or in `left`.
    """

    changed: tuple[str, ...]
    left: tuple[Left, ...]
    jobs: tuple[str, ...] = ()
    events: tuple[int, int] | None = None


@dataclass(frozen=True)
class Step:
    """One host's part: how it is changed, the verb of its event, and whether nginx gets another file for it."""

    host: ProxyHost
    change: Callable[[ProxyHost], object]
    verb: str
    concerns_nginx: bool = True


def find(selection: Selection) -> list[ProxyHost]:
    """The selected hosts by name, those that were deleted meanwhile too when they were selected one by one."""
    ids = selection.ids if selection.wanted is None else host_queries.find_ids(selection.wanted)
    hosts: list[ProxyHost] = []
    for start in range(0, len(ids), _BREATH):
        hosts += host_queries.by_ids(ids[start : start + _BREATH])
        breathe()
    return sorted(hosts, key=lambda host: host.primary_name)


def set_enabled(selection: Selection, enabled: bool, actor: User | None) -> Outcome:
    """Switches the hosts on or off. Raises Forbidden."""
    verb, already = ("enable", _("It was enabled already.")) if enabled else ("disable", _("It was disabled already."))

    def plan(host: ProxyHost) -> Step | str:
        if host.is_enabled == enabled:
            return already
        return Step(host, lambda one: setattr(one, "is_enabled", enabled), verb)

    return carry_out(selection, plan, actor)


def add_tag(selection: Selection, word: str, actor: User | None) -> Outcome:
    """Gives the hosts a tag. Raises Forbidden, Invalid("tag")."""
    tag = parse_tag(word)

    def plan(host: ProxyHost) -> Step | str:
        if tag in host.tags:
            return _("It has the tag %(tag)s already.", tag=tag)
        if len(host.tags) >= tags.MAX_TAGS:
            return _("It has %(max_tags)s tags, and a host takes no more.", max_tags=tags.MAX_TAGS)
        return Step(host, lambda one: setattr(one, "tags", [*one.tags, tag]), "update", concerns_nginx=False)

    return carry_out(selection, plan, actor)


def remove_tag(selection: Selection, word: str, actor: User | None) -> Outcome:
    """Takes a tag from the hosts. Raises Forbidden, Invalid("tag")."""
    tag = parse_tag(word)

    def plan(host: ProxyHost) -> Step | str:
        if tag not in host.tags:
            return _("It does not have the tag %(tag)s.", tag=tag)
        kept = [name for name in host.tags if name != tag]
        return Step(host, lambda one: setattr(one, "tags", kept), "update", concerns_nginx=False)

    return carry_out(selection, plan, actor)


def delete(selection: Selection, actor: User | None) -> Outcome:
    """Deletes the hosts; for undo they are kept, and their names are free at once. Raises Forbidden."""
    now = utcnow()
    return carry_out(selection, lambda host: Step(host, lambda one: setattr(one, "deleted_at", now), "delete"), actor)


def parse_tag(word: str) -> str:
    """The tag that was typed. Raises Invalid("tag")."""
    try:
        return tags.parse_one(word)
    except ValueError as error:
        raise Invalid("tag", str(error)) from error


def carry_out(selection: Selection, plan: Callable[[ProxyHost], Step | str], actor: User | None) -> Outcome:
    """Changes each selected host as `plan` says, or leaves it for the reason that `plan` gives. Raises Forbidden."""
    proxy_hosts.require_editor(actor)
    hosts = find(selection)
    known = {host.id for host in hosts}
    left = [Left(f"Host {i}", _("It does not exist any more.")) for i in selection.ids if i not in known]
    steps = []
    for host in hosts:
        step = _("It was deleted meanwhile.") if host.is_deleted else plan(host)
        if isinstance(step, Step):
            steps.append(step)
        else:
            left.append(Left(display_name(host.primary_name), step))
    return save(steps, left, actor)


def save(steps: Sequence[Step], left: Iterable[Left], actor: User | None) -> Outcome:
    """Carries the steps out: each agent counts one change and gets one apply, a revoked one none."""
    by_agent = {step.host.agent_id: step.host.agent for step in steps if step.concerns_nginx}
    generation = {agent_id: generations.raise_one(agent_id) for agent_id in by_agent}
    before = [proxy_hosts.describe(step.host) for step in steps]
    for number, step in enumerate(steps):
        step.change(step.host)
        _mark(step, generation)
        if number % _BREATH == _BREATH - 1:
            db.session.flush()
            breathe()
    db.session.flush()
    domain_names.release_all([step.host.id for step in steps if step.host.is_deleted])
    ids = _record(steps, before, actor)
    wake_after_commit("hosts")
    return Outcome(
        changed=tuple(display_name(step.host.primary_name) for step in steps),
        left=tuple(left),
        jobs=tuple(_apply(by_agent.values(), actor)),
        events=(ids[0], ids[-1]) if ids else None,
    )


def _mark(step: Step, generation: dict[str, int]) -> None:
    """Notes that somebody saved it, and if its file is another one, with which change that came."""
    host = step.host
    host.version += 1
    host.changed_at = utcnow()
    if step.concerns_nginx:
        host.changed_generation = generation[host.agent_id]
        proxy_hosts.clear_refusal(host)


def _record(steps: Sequence[Step], before: Sequence[dict[str, Any]], actor: User | None) -> list[int]:
    """One event for each host, all of the same moment, by which they are known to be one change."""
    found, at = [], utcnow()
    for number, (step, old) in enumerate(zip(steps, before, strict=True)):
        host = step.host
        after = None if host.is_deleted else proxy_hosts.describe(host)
        known = None if step.verb == "restore" else old
        event = events.record(
            actor, "proxy_host", step.verb, host.id, host.primary_name, before=known, after=after, at=at
        )
        found.append(event.id)
        if number % _BREATH == _BREATH - 1:
            breathe()
    return found


def _apply(agents: Iterable[Agent], actor: User | None) -> list[str]:
    """At once, because the whole change is here; revoked agents hear of nothing any more."""
    wanted = sorted((agent for agent in agents if not agent.is_revoked), key=lambda agent: agent.name)
    return [deployments.apply(agent, actor, at_once=True).id for agent in wanted]


def breathe() -> None:
    """Lets others go on between parts of a long change; they may read, and writers wait for its end as ever.

    Not sleep(0): that lets only those go on who are ready, and never looks at sockets and clocks.
    """
    gevent.sleep(0.001)
