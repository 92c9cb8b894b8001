"""Closed by default: who may open what."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from panel.extensions import db
from panel.models import Role, User
from panel.models.types import utcnow
from tests.conftest import login

PUBLIC = {"/login", "/setup", "/theme", "/healthz", "/metrics", "/.well-known/waypost", "/static/<path:filename>"}
OPEN_TO_VIEWERS = {"/account", "/logout"}


def rules(app: Flask, method: str) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if method in (rule.methods or ()) and rule.rule not in PUBLIC]


def url_of(rule: Rule) -> str:
    values = {name: 1 if "int" in type(rule._converters[name]).__name__.lower() else "x" for name in rule.arguments}
    built = rule.build(values)
    assert built is not None
    return built[1]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_anonymous_people_see_nothing_but_the_login(app: Flask, client: FlaskClient, method: str) -> None:
    for rule in rules(app, method):
        response = client.open(url_of(rule), method=method)
        assert response.status_code == 302, rule
        assert response.location.startswith("/login"), rule


def test_viewers_change_nothing(app: Flask, client: FlaskClient, charlie: User) -> None:
    login(client, charlie)
    for rule in rules(app, "POST"):
        if rule.rule in OPEN_TO_VIEWERS:
            continue
        response = client.post(url_of(rule))
        assert response.status_code == 403, rule
        assert "Not allowed" in response.text, rule


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


@pytest.mark.parametrize("change", [{"session_generation": 7}, {"disabled_at": utcnow()}])
def test_a_session_ends_with_a_new_generation_or_disabling(
    app: Flask, client: FlaskClient, alice: User, change: dict[str, object]
) -> None:
    login(client, alice)
    with app.app_context():
        user = db.session.get_one(User, alice.id)
        for name, value in change.items():
            setattr(user, name, value)
        db.session.commit()
    assert client.get("/account").status_code == 302


@pytest.mark.parametrize("identity", ["", "1", "1:", ":1", "x:1", "1:1:1", "99:1", "²:1"])
def test_a_session_of_nobody_is_anonymous(client: FlaskClient, alice: User, identity: str) -> None:
    with client.session_transaction() as session:
        session["_user_id"] = identity
    assert client.get("/account").status_code == 302


def test_a_role_is_never_taken_from_the_body(app: Flask, client: FlaskClient, charlie: User) -> None:
    login(client, charlie)
    client.post("/account", data={"role": "administrator", "is_admin": "1"})
    with app.app_context():
        assert db.session.get_one(User, charlie.id).role == Role.VIEWER
