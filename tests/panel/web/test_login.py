"""Logging in and out."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from panel.extensions import db
from panel.models import LoginThrottle, User
from panel.models.types import utcnow
from panel.services import logins
from panel.web.auth.routes import WRONG
from tests.conftest import PASSWORD


def post(client: FlaskClient, username: str = "alice", password: str = PASSWORD, **extra: str) -> TestResponse:
    return client.post("/login", data={"username": username, "password": password, **extra})


def fail_often(client: FlaskClient, username: str = "alice", times: int = logins.FREE_FAILURES) -> None:
    for _ in range(times):
        post(client, username, "wrong password here")


def test_the_right_password_opens_the_panel(client: FlaskClient, alice: User) -> None:
    response = post(client)
    assert response.status_code == 303
    assert response.location == "/"
    assert client.get("/account").status_code == 200


def test_the_name_is_found_in_any_case(client: FlaskClient, alice: User) -> None:
    assert post(client, " Alice ").status_code == 303


def test_a_wrong_password_and_an_unknown_name_read_the_same(client: FlaskClient, alice: User) -> None:
    wrong, unknown = post(client, "alice", "not the password"), post(client, "nobody", "not the password")
    assert wrong.status_code == unknown.status_code == 422
    assert WRONG in wrong.text

    def without_values(text: str) -> str:
        return re.sub(r'value="[^"]*"|csrf[^>]*|"X-CSRFToken": "[^"]*"', "", text)

    assert without_values(wrong.text) == without_values(unknown.text)


def test_a_disabled_person_does_not_get_in(app: Flask, client: FlaskClient, alice: User) -> None:
    with app.app_context():
        db.session.get_one(User, alice.id).disabled_at = utcnow()
        db.session.commit()
    assert WRONG in post(client).text


def test_several_failures_make_a_stranger_wait(client: FlaskClient, alice: User) -> None:
    fail_often(client)
    response = post(client)
    assert response.status_code == 429
    assert "Wait" in response.text
    assert int(response.headers["Retry-After"]) >= 1


def test_the_wait_grows_and_is_limited(app: Flask, client: FlaskClient, alice: User) -> None:
    waits = []
    for _ in range(20):
        post(client, "alice", "wrong password here")
        with app.app_context():
            rows = db.session.scalars(db.select(LoginThrottle).where(LoginThrottle.key.startswith("account:")))
            [row] = rows
            if row.blocked_until:
                waits.append(row.blocked_until - row.last_failure_at)
                row.blocked_until = None
                db.session.commit()
    assert waits == sorted(waits)
    assert waits[0] == timedelta(seconds=2)
    assert waits[-1] == logins.MAX_WAIT


def test_an_unknown_name_waits_just_the_same(client: FlaskClient, alice: User) -> None:
    fail_often(client, "nobody")
    assert post(client, "nobody").status_code == 429


def test_a_stranger_cannot_lock_the_real_person_out(app: Flask, client: FlaskClient, alice: User) -> None:
    post(client)
    client.post("/logout")
    fail_often(app.test_client(), times=12)
    assert post(app.test_client()).status_code == 429
    assert post(client).status_code == 303


def test_a_device_cookie_of_one_account_is_worth_nothing_for_another(
    client: FlaskClient, alice: User, bob: User
) -> None:
    post(client, "bob")
    client.post("/logout")
    fail_often(client, "alice")
    assert post(client, "alice").status_code == 429
    assert post(client, "bob").status_code == 303


def test_a_known_device_that_guesses_must_wait_too(client: FlaskClient, alice: User) -> None:
    post(client)
    client.post("/logout")
    fail_often(client)
    assert post(client).status_code == 429


def test_a_forged_device_cookie_is_a_stranger(client: FlaskClient, alice: User) -> None:
    fail_often(client)
    client.set_cookie("waypost_device", "WyJ4IiwiYWxpY2UiXQ.forged.forged")
    assert post(client).status_code == 429


def test_guesses_at_many_accounts_from_one_address_are_slowed(client: FlaskClient, alice: User) -> None:
    for number in range(logins.FREE_FAILURES_OF_ADDRESS):
        post(client, f"user{number}", "wrong password here")
    assert post(client, "somebody-else").status_code == 429


def test_success_forgets_the_failures(client: FlaskClient, alice: User) -> None:
    fail_often(client, times=logins.FREE_FAILURES - 2)
    assert post(client).status_code == 303
    client.post("/logout")
    fail_often(client, times=logins.FREE_FAILURES - 2)
    assert post(client).status_code == 303


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%2f/evil.example",
        "/%5cevil.example",
        "/\tevil",
        "javascript:alert(1)",
        "hosts",
        "/\n/evil",
        " //evil.example",
    ],
)
def test_next_leads_nowhere_else(client: FlaskClient, alice: User, target: str) -> None:
    assert post(client, next=target).location == "/"
    assert client.get("/login", query_string={"next": target}).location == "/"


def test_next_leads_back_to_where_the_person_was(client: FlaskClient, alice: User) -> None:
    response = client.get("/jobs?state=failed")
    assert response.location == "/login?next=/jobs?state%3Dfailed"
    assert post(client, next="/jobs?state=failed").location == "/jobs?state=failed"


def test_a_login_starts_a_fresh_session(client: FlaskClient, alice: User) -> None:
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
    post(client)
    with client.session_transaction() as session:
        assert "planted" not in session


def test_logging_out_ends_the_session_and_needs_a_post(client: FlaskClient, alice: User) -> None:
    post(client)
    assert client.get("/logout").status_code == 405
    assert client.get("/account").status_code == 200
    assert client.post("/logout").status_code == 303
    assert client.get("/account").location == "/login?next=/account"


def test_cookies_are_hidden_from_scripts_and_other_sites(client: FlaskClient, alice: User) -> None:
    cookies = post(client).headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
