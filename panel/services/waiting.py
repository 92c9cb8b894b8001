"""What is saved and not live, as numbers and names: asked by every page about hosts, also after a change of thousands.
May import: panel.services.{host_queries,paging}, panel.models, panel.extensions."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import String, and_, cast, func, not_, or_, select
from sqlalchemy.orm import selectinload

from panel.extensions import db
from panel.models import Agent, Event, ProxyHost, User
from panel.services import host_queries
from panel.services.paging import Page, paginate

NAMED = 3  # hosts
# The statement must join Agent. Changed, disabled, deleted and refused ones; nothing goes to a revoked agent any more.
_IS_VISIBLE = or_(ProxyHost.deleted_at.is_(None), host_queries.IS_LIVE)
_WAITS = and_(host_queries.IS_UNAPPLIED, _IS_VISIBLE, Agent.revoked_at.is_(None))


@dataclass(frozen=True)
class Waiting:
    """How many hosts wait to be applied, the first of their names, who saved them, and the agents concerned by id."""

    count: int
    names: tuple[str, ...]
    people: tuple[str, ...]
    agent_ids: tuple[str, ...]


def read() -> Waiting:
    """The changes of hosts that are not live: changed, disabled, deleted and refused ones, as the review lists them."""
    joined = select(ProxyHost.id).join(Agent, Agent.id == ProxyHost.agent_id).where(_WAITS)
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


def list_page(page: int, per_page: int) -> Page[ProxyHost]:
    """One page of the hosts that wait, by agent, with their tags."""
    statement = select(ProxyHost).join(Agent, Agent.id == ProxyHost.agent_id).where(_WAITS)
    statement = statement.options(selectinload(ProxyHost.tag_rows)).order_by(Agent.name, ProxyHost.id)
    return paginate(statement, page, per_page)


@dataclass(frozen=True)
class Others:
    """How many other hosts an apply would make live too, and the first of their names."""

    count: int
    names: tuple[str, ...]


NOBODY = Others(0, ())


def others(agent: Agent, but_not: ProxyHost | None) -> Others:
    """What waits on the agent beside this host; refused ones do not, unless somebody changes them."""
    number = 0 if but_not is None or but_not.id is None else but_not.id
    waits = (_WAITS, not_(host_queries.IS_REFUSED), ProxyHost.agent_id == agent.id, ProxyHost.id != number)
    joined = select(ProxyHost.domain_names).join(Agent, Agent.id == ProxyHost.agent_id).where(*waits)
    found = db.session.scalars(joined.order_by(ProxyHost.id).limit(NAMED)).all()
    if len(found) < NAMED:
        return Others(len(found), tuple(names[0] for names in found))
    count = db.session.scalar(joined.with_only_columns(func.count(), maintain_column_froms=True)) or 0
    return Others(count, tuple(names[0] for names in found))
