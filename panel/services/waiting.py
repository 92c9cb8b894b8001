"""What is saved and not live, as numbers and names: asked by every page about hosts, also after a change of thousands.
May import: panel.services.host_queries, panel.models, panel.extensions."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import String, and_, cast, func, or_, select

from panel.extensions import db
from panel.models import Agent, Event, ProxyHost, User
from panel.services import host_queries

NAMED = 3  # hosts


@dataclass(frozen=True)
class Waiting:
    """How many hosts wait to be applied, the first of their names, who saved them, and the agents concerned by id."""

    count: int
    names: tuple[str, ...]
    people: tuple[str, ...]
    agent_ids: tuple[str, ...]


def read() -> Waiting:
    """The changes of hosts that are not live: changed, disabled, deleted and refused ones, as the review lists them."""
    visible = or_(ProxyHost.deleted_at.is_(None), host_queries.IS_LIVE)
    waits = and_(host_queries.IS_UNAPPLIED, visible, Agent.revoked_at.is_(None))
    joined = select(ProxyHost.id).join(Agent, Agent.id == ProxyHost.agent_id).where(waits)
    by_agent = joined.with_only_columns(ProxyHost.agent_id, func.count(), maintain_column_froms=True)
    counts = db.session.execute(by_agent.group_by(ProxyHost.agent_id)).all()
    if not counts:
        return Waiting(0, (), (), ())
    first = joined.with_only_columns(ProxyHost.domain_names, maintain_column_froms=True)
    names = db.session.scalars(first.order_by(Agent.name, ProxyHost.id).limit(NAMED))
    newest = (
        select(func.max(Event.id))
        .where(Event.noun == "proxy_host", Event.verb != "proxy_host:refuse")
        .where(Event.object_id.in_(joined.with_only_columns(cast(ProxyHost.id, String), maintain_column_froms=True)))
        .group_by(Event.object_id)
    )
    people = select(User.username).join(Event, Event.actor_id == User.id).where(Event.id.in_(newest)).distinct()
    return Waiting(
        count=sum(count for _, count in counts),
        names=tuple(found[0] for found in names),
        people=tuple(db.session.scalars(people.order_by(User.username))),
        agent_ids=tuple(agent_id for agent_id, _ in counts),
    )
