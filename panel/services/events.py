"""The audit log's verb: who changed what, before and after.
May import: panel.models, panel.extensions."""

from __future__ import annotations

from typing import Any

from panel.extensions import db, wake_after_commit
from panel.models import Event, User


def record(
    actor: User | None,
    noun: str,
    verb: str,
    object_id: object,
    object_name: str = "",
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    command_id: str | None = None,
) -> Event:
    """Writes one change: `noun` "proxy_host", `verb` "create"; `actor` None is the panel or an agent. No secrets."""
    event = Event(
        actor_id=None if actor is None else actor.id,
        noun=noun,
        verb=f"{noun}:{verb}",
        object_id=str(object_id),
        object_name=object_name,
        before=before,
        after=after,
        command_id=command_id,
    )
    db.session.add(event)
    db.session.flush()
    wake_after_commit("audit")
    return event
