"""What is too old goes, in steps that are short; what is open or young stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select

from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandOutput, Event
from panel.models.types import utcnow
from panel.services import retention

pytestmark = pytest.mark.usefixtures("context")


def add_command(agent: Agent, seq: int, finished_at: datetime | None) -> str:
    command_id, now = str(uuid4()), utcnow()
    state = "running" if finished_at is None else "succeeded"
    times = {"created_at": now - timedelta(days=40), "expires_at": now, "finished_at": finished_at}
    db.session.add(Command(id=command_id, agent_id=agent.id, seq=seq, kind="reload", state=state, **times))
    db.session.flush()
    db.session.add_all(CommandOutput(command_id=command_id, seq=n, at=now, text="a line") for n in (1, 2))
    return command_id


def left() -> set[str]:
    return set(db.session.scalars(select(CommandOutput.command_id)))


def test_old_output_goes_a_few_commands_at_a_time(app: Flask, agent: Agent) -> None:
    now = utcnow()
    with transaction():
        for seq in range(2 * retention.COMMANDS_AT_ONCE + 5):
            add_command(agent, seq, now - timedelta(days=31))
        kept = {add_command(agent, 100, now - timedelta(days=29)), add_command(agent, 101, None)}
    sizes = []
    for step in retention.steps(now):
        before = db.session.scalar(select(func.count()).select_from(CommandOutput)) or 0
        with transaction():
            step()
        sizes.append(before - (db.session.scalar(select(func.count()).select_from(CommandOutput)) or 0))
    assert left() == kept
    assert sum(sizes) == 2 * (2 * retention.COMMANDS_AT_ONCE + 5)
    assert max(sizes) == 2 * retention.COMMANDS_AT_ONCE


def test_the_audit_log_is_kept_for_a_year(app: Flask) -> None:
    now = utcnow()

    def add(days: int) -> int:
        event = Event(noun="agent", verb="agent:join", object_id="x", at=now - timedelta(days=days))
        db.session.add(event)
        db.session.flush()
        return event.id

    with transaction():
        for _ in range(retention.EVENTS_AT_ONCE + 2):
            add(366)
        kept = {add(364), add(0)}
    for step in retention.steps(now):
        with transaction():
            step()
    assert set(db.session.scalars(select(Event.id))) == kept
