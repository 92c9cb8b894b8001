"""What people and agents changed last, for the overview: the audit log without comings and goings.
May import: panel.services.{audit,together}, panel.models, panel.extensions."""

from __future__ import annotations

from sqlalchemy import not_, select

from panel.extensions import db
from panel.models import Event, User
from panel.services import together
from panel.services.audit import Entry

# Nothing is another thing after these.
_LEFT_OUT = (
    "user:login",
    "user:login-failed",
    "user:code-failed",
    "user:logout",
    "user:enter",
    "user:end_session",
    "user:hide_first_steps",
    "user:show_first_steps",
)


def read(limit: int) -> list[Entry]:
    """The newest first; of a change of many hosts its first entry."""
    query = (
        select(Event, User.username)
        .outerjoin(User, User.id == Event.actor_id)
        .where(Event.verb.not_in(_LEFT_OUT), not_(together.IS_LATER_PART))
        .order_by(Event.id.desc())
        .limit(limit)
    )
    return [Entry(event, person or "") for event, person in db.session.execute(query)]
