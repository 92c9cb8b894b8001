"""Edits within a window become one reload, and none waits longer than the longest wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from panel.extensions import db
from panel.models import Agent, Command, ProxyHost
from panel.models.types import utcnow
from tests.panel.services.deploying import enqueue, prove, queued, send

pytestmark = pytest.mark.usefixtures("context")


def edit(agent: Agent) -> Command:
    """What "Save and apply" asks for."""
    return enqueue(agent, window=30.0, longest_wait=60.0)


@pytest.fixture
def second(agent: Agent, save: Callable[..., ProxyHost]) -> Command:
    """The apply of an edit that follows another one."""
    save()
    prove(send(edit(agent)))
    save("b.example.com")
    return edit(agent)


def waits(command: Command) -> timedelta:
    assert command.not_before is not None
    return command.not_before - utcnow()


def test_an_edit_alone_goes_at_once(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    assert edit(agent).not_before is None


def test_an_edit_after_a_quiet_window_goes_at_once(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    first = prove(send(edit(agent)))
    first.finished_at = utcnow() - timedelta(seconds=31)
    db.session.commit()
    save("b.example.com")
    assert edit(agent).not_before is None


def test_an_edit_that_follows_another_waits_for_a_window_without_edits(second: Command) -> None:
    assert timedelta(seconds=25) < waits(second) <= timedelta(seconds=30)


def test_an_edit_while_an_apply_runs_waits_too(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    send(edit(agent))
    save("b.example.com")
    assert timedelta(seconds=25) < waits(edit(agent)) <= timedelta(seconds=30)


def test_each_further_edit_joins_and_prolongs_the_wait(agent: Agent, second: Command) -> None:
    second.not_before = utcnow() + timedelta(seconds=5)
    db.session.commit()
    assert edit(agent).id == second.id
    assert waits(second) > timedelta(seconds=25)


def test_whatever_arrives_meanwhile_no_edit_waits_longer_than_the_longest_wait(agent: Agent, second: Command) -> None:
    second.created_at = utcnow() - timedelta(seconds=50)
    db.session.commit()
    for _ in range(3):
        edit(agent)
    assert second.not_before == second.created_at + timedelta(seconds=60)


def test_an_apply_that_is_due_is_not_held_back_by_more_edits(agent: Agent, second: Command) -> None:
    second.created_at = utcnow() - timedelta(seconds=80)
    second.not_before = due_at = second.created_at + timedelta(seconds=60)
    db.session.commit()
    edit(agent)
    assert second.not_before == due_at


def test_who_asks_for_it_now_gets_it_now(agent: Agent, second: Command) -> None:
    assert enqueue(agent, at_once=True).id == second.id
    assert second.not_before is None
    edit(agent)
    assert queued(agent).not_before is None
