"""Conditions and orders over hosts, in SQL: what the list's filters, search and headings mean.
May import: panel.services.{certificate_conditions,name_search}, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, case, cast, false, func, not_, or_, select, tuple_
from sqlalchemy.orm import selectinload

from panel.extensions import db
from panel.models import Agent, Certificate, DomainName, HostTag, ProxyHost
from panel.models.types import utcnow
from panel.services import certificate_conditions, name_search

IS_REFUSED: ColumnElement[bool] = and_(
    ProxyHost.refused_generation.is_not(None), ProxyHost.refused_generation == ProxyHost.changed_generation
)
# The statement must join Agent.
IS_UNAPPLIED: ColumnElement[bool] = or_(ProxyHost.changed_generation > Agent.applied_generation, IS_REFUSED)
IS_LIVE: ColumnElement[bool] = ProxyHost.live_sha256 != ""

STATUSES: dict[str | None, ColumnElement[bool]] = {
    "serving": and_(ProxyHost.is_enabled, IS_LIVE, not_(IS_UNAPPLIED)),
    "unapplied": IS_UNAPPLIED,
    "refused": IS_REFUSED,
    "disabled": not_(ProxyHost.is_enabled),
}

_TLS: dict[str, ColumnElement[bool]] = {
    "https": ProxyHost.certificate_id.in_(select(Certificate.id).where(Certificate.is_present)),
    "plain": ProxyHost.certificate_id.is_(None),
    "waiting": ProxyHost.certificate_id.in_(select(Certificate.id).where(not_(Certificate.is_present))),
    "failing": ProxyHost.certificate_id.in_(select(Certificate.id).where(certificate_conditions.IS_FAILING)),
}
_AT_ONCE = 500  # upstreams or ids per statement, below every database's limit of parameters


@dataclass(frozen=True)
class HostFilter:
    """Which hosts a list shows; empty values and unknown words leave nothing out.

    `status`: serving, unapplied, refused, disabled. `tls`: https, plain, waiting, due, failing. `upstream`: failing.
    """

    query: str = ""
    agent_id: str = ""
    status: str = ""
    tls: str = ""
    upstream: str = ""
    tag: str = ""


def select_hosts(wanted: HostFilter) -> Select[ProxyHost]:
    """The hosts that are not deleted and pass the filter, with their tags."""
    statement = select(ProxyHost).join(Agent, Agent.id == ProxyHost.agent_id)
    return statement.where(*_conditions(wanted)).options(selectinload(ProxyHost.tag_rows))


def _conditions(wanted: HostFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [ProxyHost.deleted_at.is_(None)]
    if wanted.query.strip():
        found.append(matches(wanted.query))
    if wanted.agent_id:
        found.append(ProxyHost.agent_id == wanted.agent_id)
    if wanted.status in STATUSES:
        found.append(STATUSES[wanted.status])
    if wanted.tls == "due":
        due = certificate_conditions.is_due_at(utcnow())
        found.append(ProxyHost.certificate_id.in_(select(Certificate.id).where(due)))
    elif wanted.tls in _TLS:
        found.append(_TLS[wanted.tls])
    if wanted.upstream == "failing":
        found.append(_has_failing_upstream())
    if wanted.tag:
        found.append(ProxyHost.id.in_(select(HostTag.proxy_host_id).where(HostTag.name == wanted.tag)))
    return found


def _has_failing_upstream() -> ColumnElement[bool]:
    """By the agents' last reports, which are kept whole."""
    reports = db.session.execute(select(Agent.id, Agent.upstreams).where(Agent.upstreams_at.is_not(None)))
    failing = [(i, row["scheme"], row["host"], row["port"]) for i, rows in reports for row in rows if not row["ok"]]
    where = tuple_(ProxyHost.agent_id, ProxyHost.forward_scheme, ProxyHost.forward_host, ProxyHost.forward_port)
    parts = [failing[start : start + _AT_ONCE] for start in range(0, len(failing), _AT_ONCE)]
    return and_(ProxyHost.is_enabled, or_(false(), *(where.in_(part) for part in parts)))


@dataclass(frozen=True)
class HostCount:
    """How many hosts an agent has, and how many changes of hosts, deletions too, are not live on it."""

    hosts: int = 0
    unapplied: int = 0


def count_by_agent(agent_ids: Sequence[str]) -> dict[str, HostCount]:
    """The numbers of each of these agents; for one that was revoked nothing waits to be applied."""
    visible = or_(ProxyHost.deleted_at.is_(None), IS_LIVE)
    waits = and_(IS_UNAPPLIED, visible, Agent.revoked_at.is_(None))
    numbers = (func.sum(case((ProxyHost.deleted_at.is_(None), 1), else_=0)), func.sum(case((waits, 1), else_=0)))
    query = select(ProxyHost.agent_id, *numbers).join(Agent, Agent.id == ProxyHost.agent_id)
    rows = db.session.execute(query.where(ProxyHost.agent_id.in_(agent_ids)).group_by(ProxyHost.agent_id))
    found = {agent_id: HostCount(int(hosts), int(unapplied)) for agent_id, hosts, unapplied in rows}
    return {agent_id: found.get(agent_id, HostCount()) for agent_id in agent_ids}


def find_ids(wanted: HostFilter) -> list[int]:
    """The ids of the hosts that pass the filter."""
    statement = select(ProxyHost.id).join(Agent, Agent.id == ProxyHost.agent_id).where(*_conditions(wanted))
    return list(db.session.scalars(statement))


def by_ids(ids: Sequence[int]) -> list[ProxyHost]:
    """The hosts with these ids that exist, deleted ones too, in this order; with their tags."""
    found: dict[int, ProxyHost] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = select(ProxyHost).where(ProxyHost.id.in_(ids[start : start + _AT_ONCE]))
        found |= {host.id: host for host in db.session.scalars(query.options(selectinload(ProxyHost.tag_rows)))}
    return [found[host_id] for host_id in dict.fromkeys(ids) if host_id in found]


_PRIMARY_NAME = ProxyHost.domain_names[0].as_string()
_SEVERITY = case((IS_REFUSED, 0), (IS_UNAPPLIED, 1), (not_(ProxyHost.is_enabled), 3), else_=2)
_ORDERS: dict[str, tuple[Any, ...]] = {
    "name": (_PRIMARY_NAME,),
    "upstream": (ProxyHost.forward_host, ProxyHost.forward_port),
    "status": (_SEVERITY, _PRIMARY_NAME),
    "agent": (Agent.name, _PRIMARY_NAME),
    "changed": (ProxyHost.changed_at,),
}


def matches(query: str) -> ColumnElement[bool]:
    """Hosts with `query` in a name (written in unicode or punycode), in the upstream, in a tag or in the notes."""
    words = name_search.typed(query)
    upstream = ProxyHost.forward_host + ":" + cast(ProxyHost.forward_port, String)
    return or_(
        ProxyHost.id.in_(select(DomainName.proxy_host_id).where(name_search.fits(DomainName.name, words))),
        ProxyHost.id.in_(select(HostTag.proxy_host_id).where(HostTag.name.contains(words, autoescape=True))),
        upstream.contains(words, autoescape=True),
        ProxyHost.notes.icontains(words, autoescape=True),
    )


def order(sort: str, *, descending: bool) -> list[Any]:
    """What to order by; unknown sorts give the last changed first. The id makes it one order for all pages."""
    columns = (*_ORDERS.get(sort, _ORDERS["changed"]), ProxyHost.id)
    is_descending = descending or sort not in _ORDERS
    return [column.desc() if is_descending else column.asc() for column in columns]
