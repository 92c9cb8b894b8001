"""Every route with every role: what tests.routes allows is let through, everything else is refused and changes nothing.
May import: panel and the fixtures of tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from panel.extensions import Base, db, transaction
from panel.models import Agent, Command, Identity, Role, User
from panel.models.types import utcnow
from panel.pki import open_authority
from panel.services import audit, browser_sessions, channels, invitations
from panel.services.browser_sessions import Visit
from tests.certificates import add_authority, add_certificate, add_credential
from tests.conftest import PASSWORD_HASH, login, store
from tests.hosts import add_host
from tests.routes import ROUTES

ROLES = ("anyone", "viewer", "operator", "administrator")
UNSTABLE = {"browser_session", "login_throttle"}  # a visit is noted, an attempt is counted


@dataclass(frozen=True)
class Call:
    """One address with one method, and the lowest role that may do it."""

    path: str
    method: str
    lowest: str

    def is_for(self, role: str) -> bool:
        return ROLES.index(role) >= ROLES.index(self.lowest)


def calls() -> list[Call]:
    found = []
    for line in ROUTES.strip().splitlines():
        path, *methods = line.split()
        found += [Call(path, *method.split(":")) for method in methods]
    return sorted(found, key=lambda call: call.method)  # what GET shows is there before POST removes it


@pytest.fixture
def people(alice: User, bob: User, charlie: User) -> dict[str, User | None]:
    return {"anyone": None, "viewer": charlie, "operator": bob, "administrator": alice}


@pytest.fixture
def values(app: Flask, agent: Agent, people: dict[str, User | None]) -> dict[str, Any]:
    """For each part of an address something that exists."""
    dora = store(app, User(username="dora", password_hash=PASSWORD_HASH, role=Role.VIEWER))
    command = Command(id=str(uuid4()), agent_id=agent.id, seq=1, kind="reload", state="running", expires_at=utcnow())
    found: dict[str, Any] = {"agent_id": agent.id, "user_id": dora.id, "filename": "app.js", "session_id": 1}
    found["command_id"] = store(app, command).id
    found["host_id"] = add_host(app, agent)
    found["certificate_id"] = add_certificate(app, agent)
    found["authority_id"] = add_authority(app)
    found["credential_id"] = add_credential(app, agent)
    found["identity_id"] = store(app, Identity(user_id=dora.id, issuer="https://id.example", subject="1")).id
    with app.app_context(), transaction():
        open_authority(app.config["WAYPOST"].pki_dir, utcnow())
        settings = {"url": "jsons://127.0.0.1:9"}
        found["channel_id"] = channels.create("news", "apprise", settings, None, app.config["WAYPOST"]).id
        found["event_id"] = audit.of_object("proxy_host", found["host_id"], 1)[0].event.id
        found["invitation_id"] = invitations.create(Role.VIEWER, "", 1, None)[0].id
    return found


def send(client: FlaskClient, call: Call, values: dict[str, Any]) -> TestResponse:
    path = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(values[match[1]]), call.path)
    response = client.open(path, method=call.method)
    response.close()
    return response


def is_refused(response: TestResponse) -> bool:
    wants_login = response.status_code in {302, 303} and (response.location or "").startswith("/login")
    return response.status_code in {401, 403} or wants_login


def everything(app: Flask) -> dict[str, list[tuple[Any, ...]]]:
    with app.app_context():
        return {
            name: [tuple(row) for row in db.session.execute(table.select())]
            for name, table in Base.metadata.tables.items()
            if name not in UNSTABLE
        }


def half_way(app: Flask, client: FlaskClient, user: User) -> None:
    """The password was right, the code is missing."""
    with app.app_context(), transaction():
        key = browser_sessions.start_second_step(db.session.get_one(User, user.id), Visit("192.0.2.7", "pytest"))
    with client.session_transaction() as session:
        session.update({"key": key, "_user_id": user.get_id(), "_fresh": True})


@pytest.mark.parametrize("role", ["anyone", "half-way administrator", "viewer", "operator"])
def test_what_a_role_may_not_do_is_refused_and_changes_nothing(
    app: Flask, client: FlaskClient, people: dict[str, User | None], values: dict[str, Any], role: str
) -> None:
    if role == "half-way administrator":
        half_way(app, client, people["administrator"] or User())
    elif user := people[role]:
        login(client, user)
    before = everything(app)
    known = role if role in ROLES else "anyone"
    for call in calls():
        if not call.is_for(known):
            response = send(client, call, values)
            assert is_refused(response), (call, response.status)
    assert everything(app) == before


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may_do_is_let_through(
    app: Flask, client: FlaskClient, people: dict[str, User | None], values: dict[str, Any], role: str
) -> None:
    for call in calls():
        if call.is_for(role):
            if user := people[role]:
                login(client, user)
            response = send(client, call, values)
            assert response.status_code != 500, (call, response.status)
            assert response.status_code != 405, call
            if not call.path.startswith(("/login", "/logout")):
                assert not is_refused(response), (call, response.status)
            if call.method == "GET" and "<" in call.path:
                assert response.status_code < 400, (call, response.status)
