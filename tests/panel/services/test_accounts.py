"""People: making them, their passwords, their roles."""

from __future__ import annotations

import pytest

from panel.errors import Conflict, Forbidden, NotFound
from panel.extensions import db, transaction
from panel.models import BrowserSession, Event, Role, User
from panel.services import accounts, browser_sessions
from panel.services.browser_sessions import Visit
from panel.services.user_credentials import Credentials

pytestmark = pytest.mark.usefixtures("context")

HASH = "x" * 40


def log_in(user: User) -> None:
    with transaction():
        browser_sessions.start(user, Visit("192.0.2.7", "pytest"), by="a test")
        browser_sessions.start_second_step(user, Visit("192.0.2.8", "pytest"))


def sessions_of(user: User) -> int:
    rows = db.select(db.func.count()).select_from(BrowserSession).where(BrowserSession.user_id == user.id)
    return db.session.scalar(rows) or 0


def test_a_new_person_gets_the_role_and_an_event_without_secrets(alice: User) -> None:
    with transaction():
        user = accounts.create_user(Credentials("dora", HASH), Role.VIEWER, alice)
    assert user.role == Role.VIEWER
    [event] = db.session.scalars(db.select(Event))
    assert (event.verb, event.object_name, event.actor_id) == ("user:create", "dora", alice.id)
    assert HASH not in str(event.after)


def test_a_name_is_given_once(alice: User) -> None:
    with pytest.raises(Conflict, match="already a user named alice"):
        accounts.create_user(Credentials("alice", HASH), Role.VIEWER)


def test_only_administrators_manage_people(bob: User, charlie: User) -> None:
    for actor in (bob, charlie):
        with pytest.raises(Forbidden):
            accounts.create_user(Credentials("dora", HASH), Role.VIEWER, actor)
        with pytest.raises(Forbidden):
            accounts.reset_password(Credentials("charlie", HASH), actor)
        with pytest.raises(Forbidden):
            accounts.set_role(charlie, Role.ADMINISTRATOR, actor)


def test_a_reset_password_ends_all_sessions(alice: User, bob: User) -> None:
    log_in(bob)
    with transaction():
        accounts.reset_password(Credentials("bob", HASH), alice)
    assert bob.password_hash == HASH
    assert sessions_of(bob) == 0


def test_a_password_of_nobody_cannot_be_reset(alice: User) -> None:
    with pytest.raises(NotFound, match="no user named eve"):
        accounts.reset_password(Credentials("eve", HASH), alice)


def test_another_role_ends_all_sessions(alice: User, bob: User) -> None:
    log_in(bob)
    with transaction():
        accounts.set_role(bob, Role.VIEWER, alice)
    assert sessions_of(bob) == 0
    assert not bob.may_edit


def test_the_last_administrator_stays_one(alice: User) -> None:
    with pytest.raises(Conflict, match="only administrator"):
        accounts.set_role(alice, Role.VIEWER, alice)


def test_a_disabled_administrator_is_no_other_administrator(alice: User, bob: User) -> None:
    with transaction():
        accounts.set_role(bob, Role.ADMINISTRATOR, alice)
        accounts.disable(bob, alice)
    with pytest.raises(Conflict, match="only administrator"):
        accounts.disable(alice, alice)
    with transaction():
        accounts.enable(bob, alice)
        accounts.disable(alice, bob)
    assert not alice.is_active


def test_disabling_ends_all_sessions_and_is_written_down(alice: User, bob: User) -> None:
    log_in(bob)
    with transaction():
        accounts.disable(bob, alice)
    assert sessions_of(bob) == 0
    with pytest.raises(Conflict, match="disabled already"):
        accounts.disable(bob, alice)
    with pytest.raises(Forbidden):
        accounts.enable(bob, bob)
    verbs = db.session.scalars(db.select(Event.verb).where(Event.actor_id == alice.id)).all()
    assert verbs == ["user:disable"]
