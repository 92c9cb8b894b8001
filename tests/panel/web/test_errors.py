"""Errors as pages that help."""

from __future__ import annotations

import logging

import pytest
from flask import Flask
from flask.testing import FlaskClient

from panel.errors import Conflict, Invalid, Throttled
from panel.models import User
from panel.web import access
from tests.conftest import login


@pytest.fixture
def broken(app: Flask, client: FlaskClient, alice: User) -> FlaskClient:
    """A client of an app with views that raise."""
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def fail(how: str) -> str:
        raise {
            "bug": ZeroDivisionError("a secret detail"),
            "conflict": Conflict("Somebody saved this host a moment ago."),
            "invalid": Invalid("name", "This name is taken."),
            "throttled": Throttled("Wait 7 seconds.", 7),
        }[how]

    app.add_url_rule("/fail/<how>", view_func=fail, methods=["GET", "POST"])
    login(client, alice)
    return client


def test_an_unknown_address_is_a_page_with_a_way_back(client: FlaskClient, alice: User) -> None:
    login(client, alice)
    response = client.get("/nothing/here")
    assert response.status_code == 404
    assert "There is nothing here" in response.text
    assert 'aria-label="Main"' in response.text
    assert response.headers["X-Request-Id"] in response.text


def test_anonymous_people_get_the_page_without_the_shell(client: FlaskClient) -> None:
    response = client.get("/nothing/here")
    assert response.status_code == 404
    assert 'aria-label="Main"' not in response.text


@pytest.mark.parametrize("path", ["/jobs/unknown", "/jobs/unknown/stream", "/jobs/unknown/output.txt"])
def test_an_unknown_job_is_a_404_page(client: FlaskClient, alice: User, path: str) -> None:
    login(client, alice)
    response = client.get(path)
    assert response.status_code == 404
    assert "There is no such job." in response.text


def test_a_missing_csrf_token_is_a_400_page_and_nothing_is_done(app: Flask, client: FlaskClient, alice: User) -> None:
    login(client, alice)
    app.config["WTF_CSRF_ENABLED"] = True
    for path in ("/logout", "/account", "/theme", "/login"):
        response = client.post(path, data={"csrf_token": "forged"})
        assert response.status_code == 400, path
        assert "not carried out" in response.text, path
    assert client.get("/account").status_code == 200


def test_a_wrong_method_is_a_page(client: FlaskClient, alice: User) -> None:
    login(client, alice)
    response = client.get("/logout")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert "buttons" in response.text


def test_too_large_a_request_is_a_page(client: FlaskClient, alice: User) -> None:
    login(client, alice)
    response = client.post("/account", data={"current": "x" * (1 << 21)})
    assert response.status_code == 413
    assert "too much" in response.text


def test_a_bug_is_logged_with_its_request_id_and_not_shown(
    broken: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = broken.get("/fail/bug")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["X-Request-Id"] in response.text
    assert response.headers["X-Request-Id"] in caplog.text


def test_a_refusal_shows_its_sentence_and_status(broken: FlaskClient) -> None:
    response = broken.post("/fail/conflict")
    assert response.status_code == 409
    assert "Somebody saved this host a moment ago." in response.text
    assert broken.post("/fail/invalid").status_code == 422


def test_a_wait_is_told_to_machines_too(broken: FlaskClient) -> None:
    assert broken.post("/fail/throttled").headers["Retry-After"] == "7"


def test_htmx_gets_a_toast_and_keeps_its_page(broken: FlaskClient) -> None:
    response = broken.post("/fail/conflict", headers={"HX-Request": "true"})
    assert response.status_code == 409
    assert response.headers["HX-Reswap"] == "none"
    assert "<hx-partial" in response.text
    assert "Somebody saved this host a moment ago." in response.text
    assert "<html" not in response.text


def test_the_words_of_an_address_are_escaped(client: FlaskClient, alice: User) -> None:
    login(client, alice)
    assert "<script>alert" not in client.get("/<script>alert(1)</script>").text


def test_local_paths_are_told_from_other_hosts() -> None:
    assert access.local_path("/hosts?q=a/b") == "/hosts?q=a/b"
    assert access.local_path("/" + "x" * 3000) is None
    assert access.local_path("") is None
