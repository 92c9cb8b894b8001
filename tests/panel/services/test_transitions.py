"""Every state and every event: what happens, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from panel.extensions import db
from panel.models import Agent, Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.services import commands, transitions
from panel.services.transitions import CommandOutcome, OutputLine

pytestmark = pytest.mark.usefixtures("context")

SUCCESS = CommandOutcome(CommandState.SUCCEEDED)
FAILURE = CommandOutcome(CommandState.FAILED, "FAILED", "It failed.")
LOST = CommandOutcome(CommandState.FAILED, "LOST", "Lost.", outcome_known=False)

EPOCH = 3


def online(agent: Agent) -> Agent:
    agent.session_epoch, agent.is_connected = EPOCH, True
    db.session.flush()
    return agent


def line(seq: int, text: str = "x") -> OutputLine:
    return OutputLine(seq, utcnow(), "test", "info", text)


def claim(command: Command) -> None:
    transitions.claim_next(command.agent_id, EPOCH, utcnow())


def ack(command: Command) -> None:
    transitions.acknowledge(command, utcnow())


def speak(command: Command) -> None:
    transitions.append_output(command, [line(command.last_output_seq + 1)], utcnow())


def succeed(command: Command) -> None:
    transitions.finish(command, SUCCESS, utcnow())


def fail(command: Command) -> None:
    transitions.finish(command, FAILURE, utcnow())


def lose(command: Command) -> None:
    transitions.finish(command, LOST, utcnow())


S = CommandState


@pytest.mark.parametrize(
    ("before", "event", "after"),
    [
        (S.QUEUED, claim, S.SENT),
        (S.SENT, claim, S.SENT),
        (S.RUNNING, claim, S.RUNNING),
        (S.SENT, ack, S.SENT),
        (S.SENT, speak, S.RUNNING),
        (S.RUNNING, speak, S.RUNNING),
        (S.SUCCEEDED, speak, S.SUCCEEDED),
        (S.CANCELLED, speak, S.CANCELLED),
        (S.QUEUED, succeed, S.SUCCEEDED),
        (S.SENT, succeed, S.SUCCEEDED),
        (S.RUNNING, succeed, S.SUCCEEDED),
        (S.RUNNING, fail, S.FAILED),
        (S.SUCCEEDED, fail, S.SUCCEEDED),
        (S.FAILED, succeed, S.FAILED),
        (S.CANCELLED, succeed, S.CANCELLED),
        (S.EXPIRED, succeed, S.EXPIRED),
        (S.EXPIRED, claim, S.EXPIRED),
        (S.SUCCEEDED, lose, S.SUCCEEDED),
    ],
)
def test_one_event_in_one_state(
    agent: Agent, before: CommandState, event: Callable[[Command], None], after: CommandState
) -> None:
    command = commands.enqueue(online(agent), CommandKind.RELOAD)
    transitions.change(command.id, (S.QUEUED,), state=before)
    event(command)
    assert command.state == after


def test_a_lost_command_takes_the_agents_own_word_later_but_only_once(agent: Agent) -> None:
    command = commands.enqueue(agent, CommandKind.RELOAD)
    assert transitions.finish(command, LOST, utcnow())
    assert not transitions.finish(command, LOST, utcnow())
    assert transitions.finish(command, SUCCESS, utcnow())
    assert (command.state, command.reason, command.outcome_known) == (S.SUCCEEDED, "", True)
    assert not transitions.finish(command, FAILURE, utcnow())


def test_an_older_session_claims_nothing(agent: Agent) -> None:
    commands.enqueue(online(agent), CommandKind.RELOAD)
    assert transitions.claim_next(agent.id, EPOCH - 1, utcnow()) is None
    assert transitions.claim_next(agent.id, EPOCH, utcnow()) is not None


def test_a_command_is_not_claimed_before_its_time_or_after_its_end(agent: Agent) -> None:
    now = utcnow()
    commands.enqueue(online(agent), CommandKind.RELOAD, not_before=now + timedelta(seconds=60))
    assert transitions.claim_next(agent.id, EPOCH, now) is None
    assert transitions.next_due_at(agent.id, now) == now + timedelta(seconds=60)
    assert transitions.claim_next(agent.id, EPOCH, now + timedelta(days=2)) is None
    assert transitions.claim_next(agent.id, EPOCH, now + timedelta(seconds=61)) is not None


def test_commands_are_claimed_in_order_one_per_resource(agent: Agent) -> None:
    first, second = (commands.enqueue(online(agent), CommandKind.RELOAD) for _ in range(2))
    question = commands.enqueue(agent, CommandKind.CHECK_NGINX)
    claimed = [transitions.claim_next(agent.id, EPOCH, utcnow()) for _ in range(3)]
    assert [command and command.id for command in claimed] == [first.id, question.id, None]
    transitions.finish(first, SUCCESS, utcnow())
    following = transitions.claim_next(agent.id, EPOCH, utcnow())
    assert following is not None
    assert following.id == second.id


def test_repeated_lines_are_stored_once(agent: Agent) -> None:
    command = commands.enqueue(agent, CommandKind.RELOAD)
    assert transitions.append_output(command, [line(1), line(2)], utcnow()) == 2
    assert transitions.append_output(command, [line(2), line(3), line(1)], utcnow()) == 3
    assert [row.seq for row in commands.outputs(command.id)] == [1, 2, 3]
    assert [row.seq for row in commands.outputs(command.id, after=1, limit=1)] == [2]


def test_output_beyond_the_limit_is_counted_and_cut(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "MAX_OUTPUT_SIZE", 10)
    command = commands.enqueue(agent, CommandKind.RELOAD)
    assert transitions.append_output(command, [line(1, "12345678"), line(2, "12345678"), line(3)], utcnow()) == 3
    assert [row.text for row in commands.outputs(command.id)] == ["12345678", transitions.CUT]
