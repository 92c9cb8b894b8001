"""The setup page: one link, one administrator."""

from __future__ import annotations

import re
import stat
from urllib.parse import parse_qs, urlsplit

import gevent
import pytest
from flask import Flask
from flask.testing import FlaskClient

from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Role, User
from panel.services import setup_links
from tests.conftest import PASSWORD

FORM = {"username": "Maya", "password": PASSWORD, "repeat": PASSWORD}


@pytest.fixture
def token(app: Flask, config: Config) -> str:
    with app.app_context(), transaction():
        link = setup_links.ensure(config)
    return parse_qs(urlsplit(link or "").query)["token"][0]


def people(app: Flask) -> list[User]:
    with app.app_context():
        return list(db.session.scalars(db.select(User)))


def test_the_link_makes_the_first_administrator_and_logs_in(app: Flask, client: FlaskClient, token: str) -> None:
    assert client.get(f"/setup?token={token}").status_code == 200
    response = client.post("/setup", data={**FORM, "token": token})
    assert response.status_code == 303
    assert response.location == "/"
    assert [(user.username, user.role) for user in people(app)] == [("maya", Role.ADMINISTRATOR)]
    assert client.get("/account").status_code == 200


@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=%00%ff"])
def test_without_the_token_there_is_a_page_that_helps_and_no_form(client: FlaskClient, token: str, query: str) -> None:
    response = client.get(f"/setup{query}")
    assert response.status_code == 404
    assert "setup-link" in response.text
    assert re.findall(r'<form[^>]* action="([^"]*)"', response.text) == ["/language"]


def test_a_post_without_the_token_makes_nobody(app: Flask, client: FlaskClient, token: str) -> None:
    assert client.post("/setup", data={**FORM, "token": "guess"}).status_code == 404
    assert people(app) == []


def test_after_the_first_administrator_the_page_is_gone(app: Flask, client: FlaskClient, token: str) -> None:
    client.post("/setup", data={**FORM, "token": token})
    stranger = app.test_client()
    assert stranger.get(f"/setup?token={token}").status_code == 404
    assert stranger.post("/setup", data={**FORM, "username": "eve", "token": token}).status_code == 404
    assert "Setup is done" in stranger.get("/setup").text
    assert len(people(app)) == 1


def test_two_racing_posts_make_one_administrator(app: Flask, token: str) -> None:
    def post(name: str) -> int:
        return app.test_client().post("/setup", data={**FORM, "username": name, "token": token}).status_code

    racers = [gevent.spawn(post, name) for name in ("maya", "eve")]
    gevent.joinall(racers, timeout=20)
    assert sorted(racer.get() for racer in racers) == [303, 404]
    assert len(people(app)) == 1


def test_the_file_of_the_link_is_private_and_removed_after_use(client: FlaskClient, config: Config, token: str) -> None:
    path = config.state_dir / "setup-link"
    assert token in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    client.post("/setup", data={**FORM, "token": token})
    assert not path.exists()


def test_a_restart_prints_the_same_link_until_it_is_used(app: Flask, config: Config, token: str) -> None:
    with app.app_context(), transaction():
        again = setup_links.ensure(config)
    assert again is not None
    assert token in again


def test_a_lost_file_gives_a_new_link_and_ends_the_old_one(app: Flask, config: Config, token: str) -> None:
    (config.state_dir / "setup-link").unlink()
    with app.app_context(), transaction():
        again = setup_links.ensure(config)
    assert again is not None
    assert token not in again
    assert app.test_client().get(f"/setup?token={token}").status_code == 404


def test_with_an_administrator_there_is_no_link(app: Flask, config: Config, alice: User) -> None:
    with app.app_context(), transaction():
        assert setup_links.ensure(config) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"password": "short", "repeat": "short"}, "at least 12 characters"),
        ({"username": "maya.berg.42", "password": "Maya.Berg.42", "repeat": "Maya.Berg.42"}, "not your user name"),
        ({"password": "aaaaaaaaaaaaaaa", "repeat": "aaaaaaaaaaaaaaa"}, "different characters"),
        ({"password": "x" * 257 + "yz1", "repeat": "x" * 257 + "yz1"}, "at most 256"),
        ({"repeat": "something else entirely"}, "two passwords differ"),
        ({"username": ""}, "Choose a user name"),
        ({"username": "a b"}, "letters a to z"),
        ({"username": "<script>"}, "letters a to z"),
        ({"username": "maya\u202e"}, "letters a to z"),
    ],
)
def test_a_refused_value_is_explained_at_its_field_and_makes_nobody(
    app: Flask, client: FlaskClient, token: str, change: dict[str, str], sentence: str
) -> None:
    response = client.post("/setup", data={**FORM, "token": token, **change})
    assert response.status_code == 422
    assert sentence in response.text
    assert 'aria-invalid="true"' in response.text
    assert people(app) == []
    assert client.get(f"/setup?token={token}").status_code == 200
