"""When an apply goes: an edit alone at once, edits in a row as one, and none later than the longest wait.
May import: panel.models, panel.extensions."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from panel.extensions import db, wake_after_commit
from panel.models import OPEN_STATES, Agent, Command, CommandKind
from panel.models.types import utcnow


def first_due_at(agent: Agent, window: timedelta) -> datetime | None:
    """When an apply that is asked for now goes: at once (None), or after the window when another was just made."""
    now = utcnow()
    applies = select(Command.id).where(Command.agent_id == agent.id, Command.kind == CommandKind.APPLY_CONFIG).limit(1)
    # Two questions, because each has an index and "or" has none.
    recent = (applies.where(Command.state.in_(OPEN_STATES)), applies.where(Command.finished_at > now - window))
    return now + window if any(db.session.scalar(query) for query in recent) else None


def postpone(queued: Command, window: timedelta, longest_wait: timedelta) -> None:
    """Another edit joins a queued apply: it waits for a window without edits, but no longer than the longest wait.

    One that may go at once stays so.
    """
    _join(queued)
    if queued.not_before is not None:
        quiet_at = max(queued.not_before, utcnow() + window)
        queued.not_before = min(quiet_at, queued.created_at + longest_wait)
    db.session.flush()


def hasten(queued: Command) -> None:
    """A queued apply waits for no more edits."""
    _join(queued)
    queued.not_before = None
    db.session.flush()
    wake_after_commit(f"agent:{queued.agent_id}")


def _join(queued: Command) -> None:
    """A queued apply takes later changes along, also one that was meant to bring back an older revision."""
    queued.payload = {}
