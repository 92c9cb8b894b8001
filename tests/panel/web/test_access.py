"""Closed by default: who may open what."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db
from panel.models import Role, User
from panel.models.types import utcnow
from tests.conftest import login


def test_viewers_may_look(client: FlaskClient, charlie: User) -> None:
    login(client, charlie)
    assert client.get("/jobs").status_code == 200


@pytest.mark.parametrize("path", ["/jobs/x/stream", "/live?topics=jobs"])
def test_anonymous_streams_get_401_and_no_page(client: FlaskClient, path: str) -> None:
    response = client.get(path, headers={"Accept": "text/html, text/event-stream"})
    assert response.status_code == 401
    assert "<html" not in response.text


def test_htmx_without_a_session_is_sent_to_the_login_and_back(client: FlaskClient) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/jobs?state=open"}
    response = client.get("/jobs", headers=headers)
    assert response.status_code == 401
    assert response.headers["HX-Redirect"] == "/login?next=/jobs?state%3Dopen"


def test_a_session_ends_with_disabling(app: Flask, client: FlaskClient, alice: User) -> None:
    login(client, alice)
    with app.app_context():
        db.session.get_one(User, alice.id).disabled_at = utcnow()
        db.session.commit()
    assert client.get("/account").status_code == 302


@pytest.mark.parametrize(
    ("user_id", "key"), [("", None), ("1", ""), ("1", "forged"), ("²", None), ("2", None), ("1", "\x00")]
)
def test_a_session_of_nobody_is_anonymous(client: FlaskClient, alice: User, user_id: str, key: str | None) -> None:
    good = login(client, alice)
    with client.session_transaction() as session:
        session.update({"_user_id": user_id, "key": good if key is None else key})
    assert client.get("/account").status_code == 302


def test_a_role_is_never_taken_from_the_body(app: Flask, client: FlaskClient, charlie: User) -> None:
    login(client, charlie)
    client.post("/account", data={"role": "administrator", "is_admin": "1"})
    with app.app_context():
        assert db.session.get_one(User, charlie.id).role == Role.VIEWER
