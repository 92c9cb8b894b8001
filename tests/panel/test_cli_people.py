"""`flask admin …` and `flask agent …`: people and agents without a page at hand.
May import: panel and the fixtures of tests."""

from __future__ import annotations

import re

import pytest
from click.testing import Result
from flask import Flask

from panel import cli
from panel.extensions import db, transaction
from panel.models import BrowserSession, Event, Role, User
from panel.services import accounts, browser_sessions, invitations, second_factors
from panel.services.browser_sessions import Visit
from tests.conftest import PASSWORD


@pytest.fixture
def admin(app: Flask) -> Flask:
    cli.register(app)
    return app


def run(app: Flask, *arguments: str, given: str = "", group: str = "admin") -> Result:
    return app.test_cli_runner().invoke(args=[group, *arguments], input=given)


def test_people_are_made_and_changed(admin: Flask) -> None:
    assert "/setup?token=" in run(admin, "setup-link").output
    password = f"{PASSWORD}\n"
    create = ("create-user", "--username", "Dora", "--role", "administrator", "--password-stdin")
    assert "dora may now log in" in run(admin, *create, given=password).output
    again = run(admin, *create, given=password)
    assert (again.exit_code, "already" in again.output) == (1, True)
    assert "characters" in run(admin, "reset-password", "--username", "dora", "--password-stdin").output
    reset = run(admin, "reset-password", "--username", "dora", "--password-stdin", given=password)
    assert "new password" in reset.output
    assert "only administrator" in run(admin, "set-role", "--username", "dora", "--role", "viewer").output
    assert "no user" in run(admin, "set-role", "--username", "nobody", "--role", "viewer").output
    assert run(admin, "setup-link").exit_code == 1


def test_agents_are_added_listed_and_revoked(admin: Flask) -> None:
    assert run(admin, "add", "edge", group="agent").output.startswith("wp1.")
    assert run(admin, "list", group="agent").output.split("\t")[:2] == ["edge", "waiting"]
    assert "revoked" in run(admin, "revoke", "edge", group="agent").output
    assert "no agent" in run(admin, "revoke", "nobody", group="agent").output


def test_a_lost_second_factor_is_reset_with_all_sessions(admin: Flask, alice: User) -> None:
    with admin.app_context(), transaction():
        user = accounts.get("alice")
        second_factors.begin(user)
        user.totp_since = user.created_at
        browser_sessions.start(user, Visit("192.0.2.7", ""), by="a test")
    result = run(admin, "reset-second-factor", "--username", "Alice")
    assert result.exit_code == 0, result.output
    with admin.app_context():
        assert not accounts.get("alice").has_second_factor
        assert db.session.query(BrowserSession).count() == 0
        assert db.session.scalars(db.select(Event.verb)).all()[-1] == "user:reset_second_factor"
    again = run(admin, "reset-second-factor", "--username", "alice")
    assert again.exit_code == 1
    assert "has no second factor" in again.output


def test_people_are_listed_disabled_and_enabled(admin: Flask, alice: User, bob: User) -> None:
    assert run(admin, "disable-user", "--username", "bob").exit_code == 0
    assert "bob\toperator\tdisabled\t-" in run(admin, "list-users").output
    assert run(admin, "enable-user", "--username", "bob").exit_code == 0
    assert "bob\toperator\tactive" in run(admin, "list-users").output
    refused = run(admin, "disable-user", "--username", "alice")
    assert refused.exit_code == 1
    assert "only administrator" in refused.output


def test_an_invitation_is_printed_as_a_link(admin: Flask, alice: User) -> None:
    result = run(admin, "invite", "--role", "viewer", "--for", "Maya")
    found = re.search(r"^http://127\.0\.0\.1:\d+/invite\?token=(\S+)$", result.output.strip())
    assert found is not None, result.output
    with admin.app_context():
        invitation = invitations.find(found[1])
        assert invitation is not None
        assert (invitation.role, invitation.note) == (Role.VIEWER, "Maya")
    assert run(admin, "invite", "--days", "400").exit_code == 1
