"""`flask admin …`: people without a page at hand.
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


@pytest.fixture
def admin(app: Flask) -> Flask:
    cli.register(app)
    return app


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["admin", *arguments])


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
