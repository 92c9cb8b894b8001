"""Commands as people ask for them, take them back and read them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from panel.errors import Conflict, Forbidden, NotFound
from panel.extensions import db
from panel.models import Agent, CommandKind, CommandState, User
from panel.models.types import utcnow
from panel.services import commands, transitions
from panel.services.transitions import CommandOutcome

pytestmark = pytest.mark.usefixtures("context")


def test_commands_of_an_agent_are_numbered_in_order(agent: Agent, bob: User) -> None:
    made = [commands.enqueue(agent, CommandKind.RELOAD, actor=bob) for _ in range(3)]
    assert [command.seq for command in made] == [1, 2, 3]
    assert {command.created_by_id for command in made} == {bob.id}


def test_a_viewer_sends_nothing(agent: Agent, charlie: User) -> None:
    with pytest.raises(Forbidden):
        commands.enqueue(agent, CommandKind.RELOAD, actor=charlie)
    command = commands.enqueue(agent, CommandKind.RELOAD)
    with pytest.raises(Forbidden):
        commands.cancel(command, charlie)
    with pytest.raises(Forbidden):
        commands.retry(command, charlie)


def test_a_revoked_agent_is_sent_nothing(agent: Agent) -> None:
    agent.revoked_at = utcnow()
    with pytest.raises(Conflict, match="revoked"):
        commands.enqueue(agent, CommandKind.RELOAD)


def test_the_same_key_gives_the_same_command(agent: Agent) -> None:
    first = commands.enqueue(agent, CommandKind.RELOAD, idempotency_key="form-1")
    assert commands.enqueue(agent, CommandKind.RELOAD, idempotency_key="form-1").id == first.id
    with pytest.raises(Conflict):
        commands.enqueue(agent, CommandKind.CHECK_NGINX, idempotency_key="form-1")


def test_a_question_lives_for_seconds_and_occupies_nothing(agent: Agent) -> None:
    question = commands.enqueue(agent, CommandKind.CHECK_NGINX)
    assert question.resource == ""
    assert question.expires_at - question.created_at <= timedelta(seconds=15)


def test_nothing_is_kept_for_longer_than_a_day(agent: Agent) -> None:
    command = commands.enqueue(agent, CommandKind.RELOAD, time_to_live=timedelta(days=9))
    assert command.expires_at - command.created_at == timedelta(hours=24)


def test_a_queued_command_is_cancelled_at_once(agent: Agent, bob: User) -> None:
    command = commands.cancel(commands.enqueue(agent, CommandKind.RELOAD), bob)
    assert command.state == CommandState.CANCELLED
    with pytest.raises(Conflict):
        commands.cancel(command, bob)


def test_a_command_under_way_is_only_asked_to_stop(agent: Agent, bob: User) -> None:
    command = commands.enqueue(agent, CommandKind.RELOAD)
    transitions.change(command.id, (CommandState.QUEUED,), state=CommandState.SENT)
    commands.cancel(command, bob)
    assert command.state == CommandState.SENT
    assert command.cancel_requested_at is not None


def test_retrying_twice_makes_one_new_command(agent: Agent, bob: User) -> None:
    command = commands.enqueue(agent, CommandKind.APPLY_CONFIG, payload={"revision": "old"})
    with pytest.raises(Conflict, match="under way"):
        commands.retry(command, bob)
    transitions.finish(command, CommandOutcome(CommandState.FAILED, "FAILED", "It failed."), utcnow())
    again = commands.retry(command, bob)
    assert commands.retry(command, bob).id == again.id
    assert (again.retry_of_id, again.payload) == (command.id, {})


def test_an_unknown_id_is_not_found() -> None:
    with pytest.raises(NotFound):
        commands.get("no-such-command")


def test_pages_of_commands_are_filtered_and_never_out_of_range(agent: Agent) -> None:
    for _ in range(3):
        commands.enqueue(agent, CommandKind.RELOAD)
    commands.enqueue(agent, CommandKind.CHECK_NGINX)
    page = commands.list_page(kind="reload", per_page=2, page=99)
    assert (page.total, page.pages, page.page, [command.seq for command in page.items]) == (3, 2, 2, [1])
    assert commands.list_page(state="failed").items == []
    assert commands.list_page(agent_id=agent.id, page=-5).page == 1


def test_the_oldest_open_command_of_a_kind_is_found(agent: Agent) -> None:
    assert commands.find_open(agent.id, CommandKind.RELOAD) is None
    first = commands.enqueue(agent, CommandKind.RELOAD)
    commands.enqueue(agent, CommandKind.RELOAD)
    found = commands.find_open(agent.id, CommandKind.RELOAD)
    assert found is not None
    assert found.id == first.id
    assert commands.find_open(agent.id, CommandKind.RELOAD, CommandState.SENT) is None


def test_sequence_numbers_do_not_lose_what_was_changed_on_the_agent_meanwhile(agent: Agent) -> None:
    agent.generation += 1
    commands.enqueue(agent, CommandKind.RELOAD)
    db.session.flush()
    db.session.refresh(agent)
    assert (agent.generation, agent.next_command_seq) == (1, 2)
