"""Everything that the overview looks at, read at once: a number of queries that no number of hosts changes.
May import: panel.services.{agents,host_queries,upstreams}, panel.models, panel.config, panel.extensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from sqlalchemy import case, func, or_, select

from panel.config import Config
from panel.extensions import db
from panel.models import Agent, AgentStatus, ProxyHost
from panel.models.types import utcnow
from panel.services import agents, host_queries, upstreams
from panel.services.upstreams import Health, Upstream


@dataclass(frozen=True)
class HostCounts:
    """The hosts of one agent. `live`: nginx serves some version of them. `serving`, `refused`, `waiting` (changed
    since the last apply) and `off` make up the total."""

    total: int = 0
    live: int = 0
    serving: int = 0
    refused: int = 0
    waiting: int = 0
    off: int = 0


@dataclass(frozen=True)
class Waiting:
    """The changes that are saved for one agent and not live: how many, since when, of which hosts."""

    count: int
    since: datetime
    names: tuple[str, ...]


@dataclass(frozen=True)
class HostLine:
    """One host with a problem."""

    id: int
    agent_id: str
    name: str


@dataclass(frozen=True)
class Refused(HostLine):
    """nginx refused it as it is saved, in these words."""

    text: str
    is_live: bool


@dataclass(frozen=True)
class Unreachable(HostLine):
    """It is served, and its upstream cannot be used."""

    health: Health


class _Counts(dict[str, HostCounts]):
    """Agents without hosts have none."""

    def __missing__(self, _key: str) -> HostCounts:
        return HostCounts()


@dataclass(frozen=True)
class Estate:
    """Agents that were not revoked, how each is now, and the hosts that are not as they should be."""

    HERE: ClassVar = frozenset({AgentStatus.ONLINE, AgentStatus.SYNCING, AgentStatus.STALE})

    now: datetime
    agents: Sequence[Agent]
    statuses: Mapping[str, AgentStatus]
    host_counts: Mapping[str, HostCounts]
    waiting: Mapping[str, Waiting]
    refused: Sequence[Refused]
    unreachable: Sequence[Unreachable]
    agent_names: Mapping[str, str] = field(default_factory=dict)


def read(config: Config, now: datetime | None = None) -> Estate:
    """The estate as the database has it."""
    now = now or utcnow()
    query = select(Agent).where(Agent.revoked_at.is_(None)).order_by(Agent.name)
    everyone = db.session.scalars(query).all()
    statuses = {agent.id: agents.status(agent, now, config) for agent in everyone}
    return Estate(
        now=now,
        agents=everyone,
        statuses=statuses,
        host_counts=_host_counts(),
        waiting=_waiting(),
        refused=_refused(),
        unreachable=_unreachable([agent for agent in everyone if statuses[agent.id] in Estate.HERE]),
        agent_names={agent.id: agent.name for agent in everyone},
    )


def _host_counts() -> _Counts:
    word = case(
        (host_queries.IS_REFUSED, "refused"),
        (ProxyHost.changed_generation > Agent.applied_generation, "waiting"),
        (ProxyHost.is_enabled.is_(False), "off"),
        else_="serving",
    ).label("word")
    query = (
        select(ProxyHost.agent_id, word, func.count(), func.sum(case((host_queries.IS_LIVE, 1), else_=0)))
        .join(Agent, Agent.id == ProxyHost.agent_id)
        .where(ProxyHost.deleted_at.is_(None), Agent.revoked_at.is_(None))
        .group_by(ProxyHost.agent_id, "word")  # by its name: its values are parameters, each another one
    )
    found: dict[str, dict[str, int]] = {}
    for agent_id, kind, number, live in db.session.execute(query):
        counts = found.setdefault(agent_id, {"total": 0, "live": 0})
        counts[kind] = number
        counts["total"] += number
        counts["live"] += live
    return _Counts({agent_id: HostCounts(**counts) for agent_id, counts in found.items()})


def _waiting() -> dict[str, Waiting]:
    """Refused hosts are told of by themselves; a deletion counts until it is applied."""
    query = (
        select(ProxyHost.agent_id, ProxyHost.domain_names, ProxyHost.changed_at, ProxyHost.deleted_at)
        .join(Agent, Agent.id == ProxyHost.agent_id)
        .where(
            ProxyHost.changed_generation > Agent.applied_generation,
            or_(ProxyHost.refused_generation.is_(None), ProxyHost.refused_generation != ProxyHost.changed_generation),
            or_(ProxyHost.deleted_at.is_(None), host_queries.IS_LIVE),
        )
        .order_by(ProxyHost.id)
    )
    found: dict[str, list[tuple[datetime, str]]] = {}
    for agent_id, names, changed_at, deleted_at in db.session.execute(query):
        found.setdefault(agent_id, []).append((deleted_at or changed_at, names[0]))
    return {
        agent_id: Waiting(len(changes), min(at for at, _ in changes), tuple(name for _, name in changes))
        for agent_id, changes in found.items()
    }


def _refused() -> list[Refused]:
    query = (
        select(ProxyHost.id, ProxyHost.agent_id, ProxyHost.domain_names, ProxyHost.refused_text, ProxyHost.live_sha256)
        .join(Agent, Agent.id == ProxyHost.agent_id)
        .where(host_queries.IS_REFUSED, ProxyHost.deleted_at.is_(None), Agent.revoked_at.is_(None))
    )
    return [
        Refused(row.id, row.agent_id, row.domain_names[0], row.refused_text, bool(row.live_sha256))
        for row in db.session.execute(query.order_by(ProxyHost.id))
    ]


def _unreachable(present: Sequence[Agent]) -> list[Unreachable]:
    """Hosts that are live and lead to an upstream which the last look found unusable."""
    health = upstreams.health_of(present)
    bad = {agent_id: {one: how for one, how in found.items() if not how.is_ok} for agent_id, found in health.items()}
    wanted = {upstream.host for found in bad.values() for upstream in found}
    query = select(
        ProxyHost.id,
        ProxyHost.agent_id,
        ProxyHost.domain_names,
        ProxyHost.forward_scheme,
        ProxyHost.forward_host,
        ProxyHost.forward_port,
    ).where(
        ProxyHost.forward_host.in_(wanted),
        ProxyHost.deleted_at.is_(None),
        ProxyHost.is_enabled.is_(True),
        host_queries.IS_LIVE,
    )
    found = []
    for row in db.session.execute(query.order_by(ProxyHost.id)):
        upstream = Upstream(row.forward_scheme, row.forward_host, row.forward_port)
        how = bad.get(row.agent_id, {}).get(upstream)
        if how is not None:
            found.append(Unreachable(row.id, row.agent_id, row.domain_names[0], how))
    return found
