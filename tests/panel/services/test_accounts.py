"""People: making them, their passwords, their roles."""

from __future__ import annotations

import pytest
from flask import Flask

from panel import passwords
from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import db, transaction
from panel.models import Event, Role, User
from panel.services import accounts
from panel.services.accounts import Credentials

pytestmark = pytest.mark.usefixtures("context")

HASH = "x" * 40


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
    before = bob.get_id()
    with transaction():
        accounts.reset_password(Credentials("bob", HASH), alice)
    assert bob.password_hash == HASH
    assert bob.get_id() != before


def test_a_password_of_nobody_cannot_be_reset(alice: User) -> None:
    with pytest.raises(NotFound, match="no user named eve"):
        accounts.reset_password(Credentials("eve", HASH), alice)


def test_another_role_ends_all_sessions(alice: User, bob: User) -> None:
    before = bob.get_id()
    with transaction():
        accounts.set_role(bob, Role.VIEWER, alice)
    assert bob.get_id() != before
    assert not bob.may_edit


def test_the_last_administrator_stays_one(alice: User) -> None:
    with pytest.raises(Conflict, match="only administrator"):
        accounts.set_role(alice, Role.VIEWER, alice)


def test_credentials_are_checked_before_anything_is_hashed(app: Flask) -> None:
    credentials = accounts.prepare(" Dora ", "correct horse battery staple")
    assert credentials.username == "dora"
    assert passwords.verify(credentials.password_hash, "correct horse battery staple")
    with pytest.raises(Invalid):
        accounts.prepare("dora", "short")


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "-a", "a.", "a b", "a\n", "a\x00b", "ä", "a" * 65, "{{ config }}", "../x", "а"],  # noqa: RUF001
)
def test_a_name_that_would_confuse_is_refused(name: str) -> None:
    if name == "a\n":
        assert accounts.parse_username(name) == "a"
        return
    with pytest.raises(Invalid) as refusal:
        accounts.parse_username(name)
    assert refusal.value.field == "username"
