"""Who saved each of many objects last, and what.
May import: panel.models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from panel.extensions import db
from panel.models import Event, User


@dataclass(frozen=True)
class Change:
    """One recorded change. `person` is empty when the panel itself or an agent made it."""

    object_id: str
    at: datetime
    verb: str
    person: str
    before: dict[str, Any]
    after: dict[str, Any]


def last_changes(noun: str, object_ids: Iterable[object]) -> dict[str, Change]:
    """The newest thing that somebody saved of each object, by object id; what nginx refused is nobody's doing."""
    newest = (
        select(func.max(Event.id))
        .where(Event.noun == noun, Event.object_id.in_([str(i) for i in object_ids]), Event.verb != f"{noun}:refuse")
        .group_by(Event.object_id)
    )
    query = select(Event, User.username).outerjoin(User, User.id == Event.actor_id).where(Event.id.in_(newest))
    return {event.object_id: _change(event, person) for event, person in db.session.execute(query)}


def _change(event: Event, person: str | None) -> Change:
    return Change(
        object_id=event.object_id,
        at=event.at,
        verb=event.verb,
        person=person or "",
        before=event.before or {},
        after=event.after or {},
    )
