"""Sessions: each is a row, a person sees and ends their own, and a stolen cookie dies with the logout.
May import: panel and the fixtures of tests."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db, transaction
from panel.models import BrowserSession, User
from panel.models.types import utcnow
from panel.services import browser_sessions
from panel.services.browser_sessions import Visit
from panel.web.account.view import device
from tests.conftest import PASSWORD, login

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36"
EDGE = f"{CHROME} Edg/156.0.0.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605 Version/19.1 Safari/604.1"


def rows(app: Flask) -> list[BrowserSession]:
    with app.app_context():
        found = list(db.session.scalars(db.select(BrowserSession).order_by(BrowserSession.id)))
        db.session.expunge_all()
        return found


def test_a_stolen_cookie_does_not_outlive_the_logout(app: Flask, client: FlaskClient, alice: User) -> None:
    client.post("/login", data={"username": "alice", "password": PASSWORD})
    cookie = client.get_cookie("waypost")
    assert cookie is not None
    client.post("/logout")
    thief = app.test_client()
    thief.set_cookie("waypost", cookie.value)
    assert thief.get("/account").status_code == 302


def test_the_cookies_key_is_not_stored(app: Flask, client: FlaskClient, alice: User) -> None:
    key = login(client, alice)
    [row] = rows(app)
    assert key not in (row.key_sha256, row.agent, row.address)


def test_a_login_gives_a_new_key_and_ends_the_session_before(app: Flask, client: FlaskClient, alice: User) -> None:
    """A key that somebody planted in the browser is worth nothing after the login."""
    planted = login(client, alice)
    client.post("/login", data={"username": "alice", "password": PASSWORD})
    with client.session_transaction() as session:
        assert session["key"] != planted
    with app.app_context():
        assert browser_sessions.find(planted, utcnow()) is None
    assert len(rows(app)) == 1


def test_the_page_lists_devices_and_marks_this_one(app: Flask, client: FlaskClient, alice: User) -> None:
    client.post("/login", data={"username": "alice", "password": PASSWORD}, headers={"User-Agent": FIREFOX})
    login(app.test_client(), alice)
    page = BeautifulSoup(client.get("/account").text, "html.parser")
    shown = [row.get_text(" ", strip=True) for row in page.select("#sessions tbody tr")]
    assert len(shown) == 2
    assert "Firefox on Linux" in shown[0]
    assert "This one" in shown[0]
    assert "192.0.2.7" in shown[1]


def test_one_other_session_is_ended(app: Flask, client: FlaskClient, alice: User) -> None:
    other = app.test_client()
    login(other, alice)
    login(client, alice)
    assert client.post(f"/account/sessions/{rows(app)[0].id}/end").status_code == 303
    assert other.get("/account").status_code == 302
    assert client.get("/account").status_code == 200


def test_all_others_are_ended(app: Flask, client: FlaskClient, alice: User, bob: User) -> None:
    others = [app.test_client() for _ in range(2)]
    for other in others:
        login(other, alice)
    bobs = app.test_client()
    login(bobs, bob)
    login(client, alice)
    client.post("/account/sessions/end-others")
    assert [other.get("/account").status_code for other in (*others, bobs, client)] == [302, 302, 200, 200]


def test_sessions_of_others_cannot_be_ended(app: Flask, client: FlaskClient, alice: User, bob: User) -> None:
    bobs = app.test_client()
    login(bobs, bob)
    login(client, alice)
    assert client.post(f"/account/sessions/{rows(app)[0].id}/end").status_code == 404
    assert bobs.get("/account").status_code == 200


def test_a_session_ends_by_itself(app: Flask, client: FlaskClient, alice: User) -> None:
    login(client, alice)
    with app.app_context(), transaction():
        db.session.query(BrowserSession).update({"expires_at": utcnow()})
    assert client.get("/account").status_code == 302
    with app.app_context(), transaction():
        browser_sessions.prune(utcnow())
    assert rows(app) == []


def test_last_seen_is_written_now_and_then_and_not_each_time(app: Flask, client: FlaskClient, alice: User) -> None:
    login(client, alice)
    before = rows(app)[0]
    client.get("/account", headers={"User-Agent": FIREFOX})
    assert rows(app)[0].last_seen_at == before.last_seen_at
    with app.app_context(), transaction():
        old = utcnow() - browser_sessions.SEEN_EVERY - timedelta(seconds=1)
        db.session.query(BrowserSession).update({"last_seen_at": old})
    client.get("/account", headers={"User-Agent": FIREFOX})
    after = rows(app)[0]
    assert (after.last_seen_at > old, after.agent, after.address) == (True, FIREFOX, "127.0.0.1")


def test_what_a_browser_calls_itself_is_cut_and_escaped(app: Flask, client: FlaskClient, alice: User) -> None:
    with app.app_context(), transaction():
        user = db.session.get_one(User, alice.id)
        browser_sessions.start(user, Visit("<b>" * 100, "<script>" * 100), by="a test")
    login(client, alice)
    assert len(rows(app)[0].agent) == 300
    assert "<script>alert" not in client.get("/account").text
    assert "<b><b>" not in client.get("/account").text


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (CHROME, "Chrome on Windows"),
        (EDGE, "Edge on Windows"),
        (IPHONE, "Safari on iPhone"),
        ("curl/8.9", "curl"),
        ("", "Unknown browser"),
    ],
)
def test_a_device_has_a_name(agent: str, words: str) -> None:
    assert device(agent) == words
