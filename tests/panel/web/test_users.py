"""The users pages and invitations: a link that works once, roles, and nobody locks the last administrator out.
May import: panel and the fixtures of tests."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import gevent
import pytest
from flask import Flask
from flask.testing import FlaskClient

from panel.errors import Forbidden
from panel.extensions import db, transaction
from panel.models import Event, Invitation, Role, User
from panel.models.types import utcnow
from panel.services import accounts, invitations
from tests.conftest import PASSWORD, login

PERSON = {"username": "Maya", "password": PASSWORD, "repeat": PASSWORD}


def invite(client: FlaskClient, role: str = "operator", **values: str) -> str:
    """The token of a new invitation, from the page that shows it."""
    page = client.post("/users/invite", data={"role": role, "days": "3", **values})
    assert page.status_code == 200
    link = re.search(r"data-copy=\"([^\"]+/invite\?token=[^\"]+)\"", page.text)
    assert link is not None
    return parse_qs(urlsplit(link[1]).query)["token"][0]


def people(app: Flask) -> dict[str, User]:
    with app.app_context():
        found = {user.username: user for user in accounts.list_all()}
        db.session.expunge_all()
        return found


def test_an_invited_person_chooses_a_name_and_gets_the_role(app: Flask, alices: FlaskClient) -> None:
    token = invite(alices, "viewer")
    stranger = app.test_client()
    assert "viewer" in stranger.get(f"/invite?token={token}").text
    answer = stranger.post("/invite", data={**PERSON, "token": token, "role": "administrator"})
    assert (answer.status_code, answer.location) == (303, "/")
    assert people(app)["maya"].role == Role.VIEWER
    assert stranger.get("/account").status_code == 200
    assert stranger.get("/users").status_code == 403


def test_the_link_is_shown_once_and_stored_as_a_hash(app: Flask, alices: FlaskClient) -> None:
    token = invite(alices, note="Maya <night>")
    page = alices.get("/users").text
    assert token not in page
    assert "Maya &lt;night&gt;" in page
    with app.app_context():
        [row] = db.session.query(Invitation)
        written = str([(event.object_name, event.after) for event in db.session.query(Event)])
        assert token not in row.secret_sha256 + written


def test_a_used_link_makes_nobody_else(app: Flask, alices: FlaskClient) -> None:
    token = invite(alices)
    app.test_client().post("/invite", data={**PERSON, "token": token})
    second = app.test_client()
    assert second.get(f"/invite?token={token}").status_code == 404
    assert second.post("/invite", data={**PERSON, "username": "eve", "token": token}).status_code == 404
    assert "eve" not in people(app)


def test_of_two_racing_posts_one_wins(app: Flask, alices: FlaskClient) -> None:
    token = invite(alices)
    names = [f"racer-{number}" for number in range(4)]
    posts = [
        gevent.spawn(app.test_client().post, "/invite", data={**PERSON, "username": name, "token": token})
        for name in names
    ]
    statuses = sorted(post.get(timeout=30).status_code for post in posts)
    assert statuses == [303, 404, 404, 404]
    assert len(set(names) & set(people(app))) == 1


def test_a_taken_name_or_a_weak_password_leaves_the_link_good(app: Flask, alices: FlaskClient) -> None:
    token = invite(alices)
    stranger = app.test_client()
    taken = stranger.post("/invite", data={**PERSON, "username": "ALICE", "token": token})
    assert taken.status_code == 422
    assert "already a user named alice" in taken.text
    weak = stranger.post("/invite", data={**PERSON, "password": "short", "repeat": "short", "token": token})
    assert weak.status_code == 422
    assert stranger.post("/invite", data={**PERSON, "token": token}).status_code == 303


def test_a_link_that_was_taken_back_is_dead(app: Flask, alices: FlaskClient) -> None:
    token = invite(alices)
    with app.app_context():
        [invitation_id] = db.session.scalars(db.select(Invitation.id))
    assert alices.post(f"/users/invitations/{invitation_id}/take-back").status_code == 303
    assert alices.post(f"/users/invitations/{invitation_id}/take-back").status_code == 404
    assert app.test_client().post("/invite", data={**PERSON, "token": token}).status_code == 404


@pytest.mark.parametrize("change", [{"expires_at": utcnow()}, {"used_at": utcnow()}])
def test_an_old_link_is_dead(app: Flask, alices: FlaskClient, change: dict[str, object]) -> None:
    token = invite(alices)
    with app.app_context(), transaction():
        db.session.query(Invitation).update(change)  # type: ignore[arg-type]
    assert app.test_client().get(f"/invite?token={token}").status_code == 404


def test_invitations_end_with_the_administrator_who_made_them(app: Flask, alices: FlaskClient, alice: User) -> None:
    token = invite(alices)
    with app.app_context(), transaction():
        db.session.get_one(User, alice.id).role = Role.OPERATOR
    assert app.test_client().get(f"/invite?token={token}").status_code == 404


@pytest.mark.parametrize("token", ["", "x", "%00", "é", "a" * 5000])
def test_a_guess_opens_nothing(client: FlaskClient, token: str) -> None:
    assert client.get("/invite", query_string={"token": token}).status_code == 404
    assert client.post("/invite", data={**PERSON, "token": token}).status_code == 404


@pytest.mark.parametrize(
    "values", [{"role": "root"}, {"days": "9999"}, {"days": "x"}, {"note": "x" * 65}, {"role": ""}]
)
def test_an_impossible_invitation_is_refused(app: Flask, alices: FlaskClient, values: dict[str, str]) -> None:
    assert alices.post("/users/invite", data={"role": "viewer", "days": "3", **values}).status_code == 422
    with app.app_context():
        assert db.session.query(Invitation).count() == 0


def test_only_administrators_invite(app: Flask, bob: User) -> None:
    with app.app_context(), pytest.raises(Forbidden), transaction():
        invitations.create(Role.VIEWER, "", 3, db.session.get_one(User, bob.id))


def test_another_role_counts_at_once(app: Flask, alices: FlaskClient, bob: User) -> None:
    bobs = app.test_client()
    login(bobs, bob)
    assert alices.post(f"/users/{bob.id}/role", data={"role": "viewer"}).status_code == 303
    assert bobs.get("/account").status_code == 302
    assert people(app)["bob"].role == Role.VIEWER


def test_disabling_shuts_out_and_enabling_lets_in(app: Flask, alices: FlaskClient, bob: User) -> None:
    bobs = app.test_client()
    login(bobs, bob)
    alices.post(f"/users/{bob.id}/disable")
    assert bobs.get("/account").status_code == 302
    assert bobs.post("/login", data={"username": "bob", "password": PASSWORD}).status_code == 422
    assert "Disabled" in alices.get("/users").text
    alices.post(f"/users/{bob.id}/enable")
    assert bobs.post("/login", data={"username": "bob", "password": PASSWORD}).status_code == 303


@pytest.mark.parametrize(("action", "data"), [("disable", {}), ("role", {"role": "viewer"})])
def test_the_last_administrator_cannot_be_lost(
    app: Flask, alices: FlaskClient, alice: User, bob: User, action: str, data: dict[str, str]
) -> None:
    answer = alices.post(f"/users/{alice.id}/{action}", data=data)
    assert answer.status_code == 409
    assert "only administrator" in answer.text
    assert alices.get("/users").status_code == 200
    page = alices.get(f"/users/{alice.id}").text
    assert f"/users/{alice.id}/disable" not in page


@pytest.mark.parametrize("role", ["", "root", "Administrator"])
def test_an_unknown_role_is_refused(app: Flask, alices: FlaskClient, bob: User, role: str) -> None:
    assert alices.post(f"/users/{bob.id}/role", data={"role": role}).status_code == 422
    assert people(app)["bob"].role == Role.OPERATOR


def test_what_administrators_do_is_written_down(app: Flask, alices: FlaskClient, alice: User, bob: User) -> None:
    alices.post(f"/users/{bob.id}/end-sessions")
    alices.post(f"/users/{bob.id}/role", data={"role": "viewer"})
    alices.post(f"/users/{bob.id}/disable")
    with app.app_context():
        verbs = db.session.scalars(
            db.select(Event.verb).where(Event.actor_id == alice.id, Event.object_id == str(bob.id)).order_by(Event.id)
        ).all()
    assert verbs == ["user:end_sessions", "user:set_role", "user:disable"]
