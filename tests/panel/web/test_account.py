"""One's own account."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from panel.models import User
from tests.conftest import PASSWORD, login

NEW = "quite another long password"
FORM = {"current": PASSWORD, "password": NEW, "repeat": NEW}


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(
    app: Flask, client: FlaskClient, alice: User
) -> None:
    elsewhere = app.test_client()
    login(client, alice)
    login(elsewhere, alice)
    assert elsewhere.get("/account").status_code == 200
    assert client.post("/account", data=FORM).status_code == 303
    assert "Password changed" in client.get("/account").text
    assert elsewhere.get("/account").status_code == 302


def test_the_new_password_works_and_the_old_one_does_not(app: Flask, client: FlaskClient, alice: User) -> None:
    login(client, alice)
    client.post("/account", data=FORM)
    stranger = app.test_client()
    assert stranger.post("/login", data={"username": "alice", "password": PASSWORD}).status_code == 422
    assert stranger.post("/login", data={"username": "alice", "password": NEW}).status_code == 303


def test_viewers_change_their_own_password_too(client: FlaskClient, charlie: User) -> None:
    login(client, charlie)
    assert client.post("/account", data=FORM).status_code == 303


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"current": "not my password"}, "not your current password"),
        ({"password": "short", "repeat": "short"}, "at least 12 characters"),
        ({"repeat": "something else entirely"}, "two passwords differ"),
        ({"current": ""}, "Enter your current password"),
    ],
)
def test_a_refused_value_is_explained(client: FlaskClient, alice: User, change: dict[str, str], sentence: str) -> None:
    login(client, alice)
    response = client.post("/account", data={**FORM, **change})
    assert response.status_code == 422
    assert sentence in response.text
    assert client.get("/account").status_code == 200


def test_the_current_password_cannot_be_guessed_without_waiting(client: FlaskClient, alice: User) -> None:
    login(client, alice)
    for _ in range(5):
        client.post("/account", data={**FORM, "current": "a guess at the password"})
    assert client.post("/account", data=FORM).status_code == 429
