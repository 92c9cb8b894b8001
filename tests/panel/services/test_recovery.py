"""After a reconnect and after too long: nothing is lost, nothing runs twice, nothing is claimed to be known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from panel.extensions import db
from panel.models import Agent, Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.services import commands, recovery, transitions
from panel.services.recovery import JournalState, OpenCommand
from panel.services.transitions import CommandOutcome, OutputLine

pytestmark = pytest.mark.usefixtures("context")

S = CommandState


def sent(agent: Agent, kind: CommandKind = CommandKind.RELOAD) -> Command:
    command = commands.enqueue(agent, kind)
    transitions.change(command.id, (S.QUEUED,), state=S.SENT, sent_at=utcnow(), sent_epoch=1, delivery_count=1)
    return command


def test_what_never_arrived_is_queued_again(agent: Agent) -> None:
    command = sent(agent)
    assert recovery.recover(agent, [], utcnow()).ended == []
    assert (command.state, command.sent_epoch) == (S.QUEUED, None)


def test_what_never_arrived_and_was_cancelled_meanwhile_is_cancelled(agent: Agent) -> None:
    command = commands.cancel(sent(agent), None)
    assert recovery.recover(agent, [], utcnow()).ended == [command]
    assert command.state == S.CANCELLED


def test_what_never_arrived_within_a_day_is_not_sent_again(agent: Agent) -> None:
    command = sent(agent)
    assert recovery.recover(agent, [], utcnow() + timedelta(hours=25)).ended == [command]
    assert command.state == S.EXPIRED


def test_what_the_agent_held_and_no_longer_knows_has_an_unknown_outcome(agent: Agent) -> None:
    command = sent(agent)
    transitions.acknowledge(command, utcnow())
    assert recovery.recover(agent, [], utcnow()).ended == [command]
    assert (command.state, command.reason, command.outcome_known) == (S.FAILED, "LOST", False)


def test_what_a_journal_that_forgot_commands_does_not_list_has_an_unknown_outcome(agent: Agent) -> None:
    before, command = sent(agent), sent(agent)
    transitions.acknowledge(before, utcnow())
    transitions.finish(before, CommandOutcome(S.SUCCEEDED), utcnow())
    assert recovery.recover(agent, [], utcnow(), last_seq=before.seq - 1).ended == [command]
    assert (command.state, command.reason, command.outcome_known) == (S.FAILED, "LOST", False)


def test_what_a_journal_that_forgot_nothing_does_not_list_is_queued_again(agent: Agent) -> None:
    before, command = sent(agent), sent(agent)
    transitions.acknowledge(before, utcnow())
    transitions.finish(before, CommandOutcome(S.SUCCEEDED), utcnow())
    assert recovery.recover(agent, [], utcnow(), last_seq=before.seq).ended == []
    assert command.state == S.QUEUED


def test_a_question_is_never_asked_twice(agent: Agent) -> None:
    command = sent(agent, CommandKind.CHECK_NGINX)
    assert recovery.recover(agent, [], utcnow()).ended == [command]
    assert (command.state, command.delivery_count) == (S.FAILED, 1)
    assert "Ask again" in command.error


def test_what_the_agent_lists_stays_with_the_agent(agent: Agent) -> None:
    accepted, running, finished = (sent(agent) for _ in range(3))
    transitions.append_output(finished, [OutputLine(1, utcnow(), "", "info", "x")], utcnow())
    listed = [
        OpenCommand(accepted.id, JournalState.ACCEPTED),
        OpenCommand(running.id, JournalState.RUNNING),
        OpenCommand(finished.id, JournalState.FINISHED),
    ]
    result = recovery.recover(agent, listed, utcnow())
    assert (accepted.state, running.state, finished.state) == (S.SENT, S.RUNNING, S.RUNNING)
    assert accepted.acked_at is not None
    assert result.ended == []
    assert [(one.output_seq, one.is_final) for one in result.stored] == [(0, False), (0, False), (1, False)]


def test_a_result_that_is_stored_need_not_be_repeated(agent: Agent) -> None:
    command = sent(agent)
    transitions.finish(command, CommandOutcome(S.SUCCEEDED), utcnow())
    result = recovery.recover(agent, [OpenCommand(command.id, JournalState.FINISHED)], utcnow())
    assert [one.is_final for one in result.stored] == [True]


def test_a_presumed_end_still_wants_the_true_result(agent: Agent) -> None:
    command = sent(agent)
    transitions.finish(command, CommandOutcome(S.FAILED, "LOST", "Lost.", outcome_known=False), utcnow())
    result = recovery.recover(agent, [OpenCommand(command.id, JournalState.FINISHED)], utcnow())
    assert [one.is_final for one in result.stored] == [False]


def test_what_was_given_up_must_not_begin(agent: Agent) -> None:
    command = sent(agent)
    transitions.finish(command, CommandOutcome(S.FAILED, "TIMEOUT", "Late.", outcome_known=False), utcnow())
    assert recovery.recover(agent, [OpenCommand(command.id, JournalState.ACCEPTED)], utcnow()).forget == [command.id]


def test_unknown_ids_and_other_agents_ids_are_forgotten(agent: Agent) -> None:
    other = Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other")
    db.session.add(other)
    db.session.flush()
    foreign = sent(other)
    listed = [OpenCommand("unknown", JournalState.FINISHED), OpenCommand(foreign.id, JournalState.FINISHED)]
    assert recovery.recover(agent, listed, utcnow()).forget == ["unknown", foreign.id]
    assert foreign.state == S.SENT


def test_a_command_that_was_never_sent_expires(agent: Agent) -> None:
    command = commands.enqueue(agent, CommandKind.RELOAD, time_to_live=timedelta(minutes=1))
    assert recovery.expire_due(utcnow()) == []
    assert recovery.expire_due(utcnow() + timedelta(minutes=2)) == [command]
    assert command.state == S.EXPIRED


def test_a_command_that_was_sent_never_expires_but_is_lost_after_a_day_without_its_agent(agent: Agent) -> None:
    command = sent(agent)
    assert recovery.expire_due(utcnow() + timedelta(hours=23)) == []
    assert recovery.expire_due(utcnow() + timedelta(hours=25)) == [command]
    assert (command.state, command.reason, command.outcome_known) == (S.FAILED, "LOST", False)


def test_the_day_counts_from_the_agents_last_sign_of_life(agent: Agent) -> None:
    sent(agent)
    agent.last_seen_at = utcnow() + timedelta(hours=10)
    db.session.flush()
    assert recovery.expire_due(utcnow() + timedelta(hours=25)) == []


def test_an_unanswered_question_fails_within_seconds(agent: Agent) -> None:
    command = sent(agent, CommandKind.CHECK_NGINX)
    assert recovery.expire_due(utcnow() + timedelta(seconds=16)) == [command]
    assert (command.state, command.reason) == (S.FAILED, "TIMEOUT")
    assert "did not answer" in command.error


def test_a_connected_agent_that_never_reports_an_end_is_not_waited_for_for_ever(agent: Agent) -> None:
    command = sent(agent)
    agent.is_connected = True
    db.session.flush()
    assert recovery.expire_due(utcnow() + timedelta(seconds=command.run_timeout + 59)) == []
    assert recovery.expire_due(utcnow() + timedelta(seconds=command.run_timeout + 61)) == [command]
    assert (command.reason, command.outcome_known) == ("TIMEOUT", False)
