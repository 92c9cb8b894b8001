"""The clock: it notices silence, ends what is overdue, and forgets what is old."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from panel.clock import Clock
from panel.config import Config
from panel.extensions import db, wakeups
from panel.models import Agent, CommandKind, CommandOutput, CommandState, ConfigContent, Revision
from panel.models.types import utcnow
from panel.services import commands, transitions
from panel.services.retention import REVISIONS_KEPT
from panel.services.transitions import CommandOutcome, OutputLine
from tests.panel.services.news import LIFETIME, add_certificate, add_channel, queued
from tests.product import free_ports

pytestmark = pytest.mark.usefixtures("context")


def test_a_tick_ends_what_is_overdue_and_wakes_who_watches(agent: Agent, config: Config) -> None:
    command = commands.enqueue(agent, CommandKind.CHECK_NGINX)
    db.session.commit()
    with wakeups.subscribe(f"command:{command.id}") as news:
        Clock(config).tick(utcnow() + timedelta(seconds=20))
        assert news.is_set()
    assert command.state == CommandState.EXPIRED


def test_an_apply_that_nobody_came_for_is_shown_on_its_agent(agent: Agent, config: Config) -> None:
    commands.enqueue(agent, CommandKind.APPLY_CONFIG)
    db.session.commit()
    Clock(config).tick(utcnow() + timedelta(hours=25))
    assert "never sent" in agent.apply_error


def test_silence_wakes_the_pages_once(agent: Agent, config: Config) -> None:
    agent.is_connected = agent.is_synced = True
    agent.last_seen_at = now = utcnow()
    db.session.commit()
    clock = Clock(config)
    clock.tick(now)
    for later, expected in ((1, False), (30, True), (31, False), (60, True)):
        with wakeups.subscribe("agents") as news:
            clock.tick(now + timedelta(seconds=later))
            assert news.is_set() is expected, later


def test_output_is_kept_for_thirty_days(agent: Agent, config: Config) -> None:
    now = utcnow()
    old, new, still_open = (commands.enqueue(agent, CommandKind.RELOAD) for _ in range(3))
    for command in (old, new, still_open):
        transitions.append_output(command, [OutputLine(1, now, "", "info", "x")], now)
    transitions.finish(old, CommandOutcome(CommandState.SUCCEEDED), now - timedelta(days=31))
    transitions.finish(new, CommandOutcome(CommandState.SUCCEEDED), now - timedelta(days=29))
    db.session.commit()
    Clock(config).tick(now)
    assert set(db.session.scalars(select(CommandOutput.command_id))) == {new.id, still_open.id}


def test_old_revisions_go_but_never_the_live_one_nor_what_a_kept_one_names(agent: Agent, config: Config) -> None:
    for number in range(REVISIONS_KEPT + 10):
        sha256 = f"{number:064x}"
        db.session.add(ConfigContent(sha256=sha256, text=str(number)))
        db.session.add(Revision(agent_id=agent.id, revision=sha256, manifest={"http.conf": sha256}))
        db.session.flush()
    agent.applied_revision = f"{0:064x}"
    db.session.commit()
    Clock(config).tick(utcnow())
    kept = {f"{number:064x}" for number in [0, *range(10, REVISIONS_KEPT + 10)]}
    assert set(db.session.scalars(select(Revision.revision))) == kept
    assert set(db.session.scalars(select(ConfigContent.sha256))) == kept


def test_a_tick_looks_for_ends_that_come_near_and_sends_what_is_due(agent: Agent, config: Config) -> None:
    now = utcnow()
    channel = add_channel("mail", config, port=str(free_ports(1)[0]))
    add_certificate(agent, now - LIFETIME * 0.6)
    clock = Clock(config)
    for seconds in (0, 1, 61):
        clock.tick(now + timedelta(seconds=seconds))
    clock.finish_sending(timeout=20)
    db.session.rollback()
    [told] = queued()
    assert told.subject == "Certificate app.example.com expires in 5 days"
    assert told.attempts == 1
    assert "cannot be reached" in told.error
    assert channel.last_error == told.error
