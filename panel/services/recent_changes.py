"""What people and agents changed last, from the audit log.
May import: panel.models, panel.extensions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from panel.extensions import db
from panel.models import Event, User

# Comings and goings are no changes.
_LEFT_OUT = ("user:login", "user:enter", "user:hide_first_steps", "user:show_first_steps", "user:end_session")


@dataclass(frozen=True)
class RecentChange:
    """One recorded change. `person` is empty when the panel itself or an agent made it; `fields` are those that a
    change of a saved object touched; `command_id` is the job that came of it."""

    at: datetime
    noun: str
    verb: str
    object_id: str
    object_name: str
    person: str
    fields: tuple[str, ...]
    command_id: str | None


def read(limit: int) -> list[RecentChange]:
    """The newest first."""
    query = (
        select(Event, User.username)
        .outerjoin(User, User.id == Event.actor_id)
        .where(Event.verb.not_in(_LEFT_OUT))
        .order_by(Event.id.desc())
        .limit(limit)
    )
    return [_change(event, person or "") for event, person in db.session.execute(query)]


def _change(event: Event, person: str) -> RecentChange:
    before, after = event.before or {}, event.after or {}
    fields = tuple(name for name, value in after.items() if name in before and before[name] != value)
    verb = event.verb.partition(":")[2]
    return RecentChange(
        event.at, event.noun, verb, event.object_id, event.object_name, person, fields, event.command_id
    )
