"""Somebody puts a clock a year forward or back: order and limits hold, and nothing waits for a year."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent import journal as agent_journal
from agent.journal import Journal, Verdict
from panel.config import Config
from panel.extensions import db
from panel.models import Agent, AgentStatus, CommandKind, CommandState
from panel.models.types import utcnow
from panel.rpc import orders
from panel.services import agents, commands, recovery, transitions
from panel.services.recovery import JournalState, OpenCommand
from panel.services.transitions import CommandOutcome

pytestmark = pytest.mark.usefixtures("context")

S = CommandState
YEAR = timedelta(days=365)
EPOCH = 3


def connect(agent: Agent, now: datetime) -> Agent:
    agent.is_connected = agent.is_synced = True
    agent.session_epoch, agent.last_seen_at = EPOCH, now
    db.session.flush()
    return agent


@pytest.fixture(params=[YEAR, -YEAR], ids=["forward", "back"])
def later(request: pytest.FixtureRequest) -> datetime:
    """Now, by a clock that somebody has put wrong."""
    moved: timedelta = request.param
    return utcnow() + moved


def test_case_23_the_panel_sends_in_the_order_of_numbers_whatever_the_clock_says(agent: Agent) -> None:
    now = utcnow()
    first, second = (commands.enqueue(connect(agent, now), CommandKind.RELOAD) for _ in range(2))
    first.created_at, second.created_at = now, now - YEAR
    claimed = transitions.claim_next(agent.id, EPOCH, now)
    assert claimed is not None
    assert claimed.id == first.id


def test_case_23_a_command_does_not_wait_for_a_year_after_the_clock_was_put_back(agent: Agent) -> None:
    now = utcnow()
    waiting = commands.enqueue(connect(agent, now), CommandKind.RELOAD, not_before=now + timedelta(seconds=5))
    claimed = transitions.claim_next(agent.id, EPOCH, now - YEAR)
    assert claimed is not None
    assert claimed.id == waiting.id


def test_case_23_an_agent_is_told_no_time_to_live_beyond_a_day(agent: Agent) -> None:
    command = commands.enqueue(agent, CommandKind.RELOAD)
    command.expires_at += YEAR
    sent = orders.command(command)
    assert sent.command.time_to_live.ToTimedelta() <= timedelta(hours=24)


def test_case_23_what_the_panel_gave_up_by_a_wrong_clock_takes_the_true_result(agent: Agent, later: datetime) -> None:
    command = commands.enqueue(connect(agent, utcnow()), CommandKind.RELOAD)
    assert transitions.claim_next(agent.id, EPOCH, utcnow()) is not None
    transitions.acknowledge(command, utcnow())
    recovery.expire_due(later)
    recovered = recovery.recover(agent, [OpenCommand(command.id, JournalState.FINISHED)], utcnow())
    assert [one.is_final for one in recovered.stored] == [False]
    assert transitions.finish(command, CommandOutcome(S.SUCCEEDED), utcnow())
    assert command.state == S.SUCCEEDED


def test_case_23_an_agent_that_is_away_is_not_shown_as_present_by_a_clock_that_was_put_back(
    agent: Agent, config: Config
) -> None:
    agent.last_seen_at, agent.is_connected = utcnow(), False
    assert agents.status(agent, utcnow() - YEAR, config) is AgentStatus.OFFLINE


@pytest.mark.parametrize("shift", [YEAR, -YEAR], ids=["forward", "back"])
def test_case_22_the_age_of_a_command_on_the_agent_does_not_follow_its_wall_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: timedelta
) -> None:
    journal = Journal(tmp_path / "journal.sqlite3")
    assert journal.accept("a", 1, "reload", "hash", b"payload") is Verdict.ACCEPTED
    now = agent_journal._now()
    monkeypatch.setattr(agent_journal, "_now", lambda: (now[0] + shift.total_seconds(), now[1] + 5.0, now[2]))
    (entry,) = journal.open_commands()
    assert entry.age == pytest.approx(5.0, abs=2.0)
    journal.close()


def test_case_23_a_clock_that_jumps_forward_makes_the_agent_forget_nothing_that_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal.sqlite3")
    journal.accept("a", 1, "reload", "hash", b"payload")
    journal.finish("a", b"result")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + YEAR.total_seconds())
    journal.prune()
    assert journal.accept("a", 1, "reload", "hash", b"payload") is Verdict.DUPLICATE
    journal.close()
