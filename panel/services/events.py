"""The audit log's verb: who changed what, before and after, from where, and which job came of it.
May import: panel.services.context, panel.models, panel.extensions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import update

from panel.extensions import db, wake_after_commit
from panel.models import Agent, Event, User
from panel.models.types import utcnow
from panel.services import context

SET, CHANGED = "set", "changed"  # all that is said of a secret
_MAX_ORIGIN = 80
_RECORDED = "events"  # in the session's info: what was recorded since the transaction began


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
    origin: str = "",
    at: datetime | None = None,
) -> Event:
    """Writes one change: `noun` "proxy_host", `verb` "create"; `actor` None is the panel or an agent. No secrets.

    `origin` is for doors that know better than the context where it comes from. What is one change of many objects
    has one moment, `at`: panel.services.together.
    """
    event = Event(
        at=at or utcnow(),
        actor_id=None if actor is None else actor.id,
        noun=noun,
        verb=f"{noun}:{verb}",
        object_id=str(object_id),
        object_name=object_name,
        origin=(origin or _origin())[:_MAX_ORIGIN],
        before=before,
        after=after,
        command_id=command_id,
    )
    db.session.add(event)
    db.session.flush()
    db.session.info.setdefault(_RECORDED, []).append(event)
    wake_after_commit("audit")
    return event


def recorded(noun: str) -> list[Event]:
    """What this transaction has recorded so far about such objects, oldest first."""
    found = db.session.info.get(_RECORDED, ())
    return [event for event in found if event in db.session and event.noun == noun]  # not what a savepoint took back


def name_job(agent: Agent, command_id: str) -> bool:
    """Notes that this job brings what the transaction did to hosts of the agent; False when that is nothing."""
    concerned = [event.id for event in recorded("proxy_host") if _agent_of(event) == agent.id]
    if not concerned:
        return False
    unnamed = (Event.id.in_(concerned), Event.command_id.is_(None))
    db.session.execute(update(Event).where(*unnamed).values(command_id=command_id))
    return True


def _agent_of(event: Event) -> object:
    return (event.after or event.before or {}).get("agent_id")


def _origin() -> str:
    """An agent is called by its name, which the door does not know."""
    found = context.origin()
    if not found.startswith(context.AGENT):
        return found
    agent = db.session.get(Agent, found.removeprefix(context.AGENT))
    return f"agent {agent.name}" if agent is not None else "an agent"
