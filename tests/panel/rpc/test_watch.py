"""What looks after all streams at once: it finds what woke nobody, and asks the same few questions for one or many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from flask import Flask

from panel.config import Config
from panel.extensions import db, wakeups
from panel.models import Agent, Command
from panel.models.types import utcnow
from panel.rpc import watch
from panel.services import sessions
from protos import command_stream_pb2 as pb
from tests.panel.rpc.conftest import Join
from tests.panel.rpc.wire import Wire, until
from tests.statements import Statement, counted


@dataclass
class Stream:
    """A stream as the watch sees it."""

    agent_id: str
    epoch: int = 1
    serial: str = "none"
    heard_at: datetime | None = None
    is_late: bool = False

    def is_overdue(self, now: float) -> bool:
        return self.is_late

    def take_sign_of_life(self) -> datetime | None:
        taken, self.heard_at = self.heard_at, None
        return taken


@pytest.fixture
def statements(app: Flask) -> Iterator[list[Statement]]:
    with counted(app) as found:
        yield found


def test_a_command_that_woke_nobody_is_sent_all_the_same(app: Flask, live: Config, join: Join) -> None:
    agent_id, identity = join("edge")
    with app.app_context():
        db.session.get_one(Agent, agent_id).applied_revision = "a" * 64
        db.session.commit()
    with Wire(live, identity) as wire:
        wire.greet(revision="a" * 64)
        assert wire.quiet("command")
        with app.app_context():  # as another program would do it
            times = {"created_at": utcnow(), "expires_at": utcnow() + timedelta(hours=1)}
            db.session.add(Command(id=str(uuid4()), agent_id=agent_id, seq=99, kind="reload", **times))
            db.session.commit()
        assert wire.expect("command").HasField("reload")


def test_signs_of_life_are_stored_together_and_only_by_the_session_that_holds_the_agent(
    app: Flask, live: Config, join: Join
) -> None:
    agent_id, identity = join("edge")
    with Wire(live, identity) as wire:
        wire.greet()
        long_ago = utcnow() - timedelta(hours=1)
        with app.app_context():
            db.session.get_one(Agent, agent_id).last_seen_at = long_ago
            db.session.commit()
            epoch = db.session.get_one(Agent, agent_id).session_epoch
        watch.look(app, [Stream(agent_id, epoch - 1, heard_at=utcnow())])
        assert last_seen(app, agent_id) == long_ago
        wire.send(heartbeat=pb.Heartbeat(sequence=1))
        until(lambda: last_seen(app, agent_id) != long_ago)


def last_seen(app: Flask, agent_id: str) -> datetime | None:
    with app.app_context():
        return db.session.get_one(Agent, agent_id).last_seen_at


def test_a_hundred_idle_streams_are_asked_about_as_one(app: Flask, statements: list[Statement]) -> None:
    watch.look(app, [Stream("a")])
    for_one = len(statements)
    watch.look(app, [Stream(f"agent-{number}") for number in range(100)])
    assert len(statements) == 2 * for_one
    assert for_one <= 4


def test_only_streams_that_are_not_calm_are_woken(app: Flask, agent: Agent) -> None:
    with app.app_context():
        row = db.session.get_one(Agent, agent.id)
        row.is_connected, row.session_epoch = True, 1
        db.session.commit()
        standing = sessions.read_standing(utcnow())
    assert not standing.is_calm(agent.id, 1, "an unknown certificate")
    assert not standing.is_calm("an unknown agent", 1, "an unknown certificate")
    with wakeups.subscribe(f"agent:{agent.id}") as news:
        watch.look(app, [Stream(agent.id, is_late=True)])
        assert news.is_set()
