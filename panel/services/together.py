"""Changes of many hosts in the audit log: what one person did in one moment is one change.
May import: panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import aliased

from panel.extensions import db
from panel.models import Event

NOUN = "proxy_host"
_earlier = aliased(Event)
# Of each such change only the first event is left.
IS_LATER_PART: ColumnElement[bool] = and_(
    Event.noun == NOUN,
    select(_earlier.id)
    .where(_earlier.at == Event.at, _earlier.noun == NOUN, _earlier.actor_id == Event.actor_id, _earlier.id < Event.id)
    .exists(),
)


@dataclass(frozen=True)
class Together:
    """One change of several hosts: the numbers of its first and its last event, and how many hosts it changed."""

    first: int
    last: int
    count: int


def find(found: Sequence[Event]) -> dict[int, Together]:
    """The change that each of these events is a part of, by the event's number; those that stand alone are left out.
    One query, however many there are."""
    moments = {event.at for event in found if event.noun == NOUN}
    if not moments:
        return {}
    query = select(Event.at, Event.actor_id, func.min(Event.id), func.max(Event.id), func.count())
    query = query.where(Event.at.in_(moments), Event.noun == NOUN, Event.actor_id.is_not(None))
    rows = db.session.execute(query.group_by(Event.at, Event.actor_id).having(func.count() > 1))
    known = {(at, actor_id): Together(first, last, count) for at, actor_id, first, last, count in rows}
    parts = {event.id: known.get((event.at, event.actor_id)) for event in found if event.noun == NOUN}
    return {event_id: change for event_id, change in parts.items() if change is not None}
