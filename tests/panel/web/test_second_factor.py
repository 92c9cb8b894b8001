"""The second factor: set up with the first code, asked for after the password, used once, and no way around it.
May import: panel and the fixtures of tests."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from panel import totp
from panel.extensions import db, transaction
from panel.models import Event, RecoveryCode, User
from panel.services import logins, second_factors
from tests.conftest import PASSWORD, login

PAGE = "/account/second-factor"


def code_at(secret: str, steps: int = 0) -> str:
    """The code of the step that is `steps` away from now."""
    return pyotp.TOTP(secret).generate_otp(int(time.time()) // totp.STEP + steps)


def set_up(client: FlaskClient) -> tuple[str, list[str]]:
    """From the account page to the recovery codes: the secret, and them."""
    assert client.post(PAGE, data={"current": PASSWORD}).status_code == 303
    page = BeautifulSoup(client.get(PAGE).text, "html.parser")
    code = page.select_one(".cmd code")
    assert code is not None
    secret = code.text.replace(" ", "")
    answer = client.post(f"{PAGE}/confirm", data={"code": code_at(secret, -1)})
    codes = [item.text for item in BeautifulSoup(answer.text, "html.parser").select("ol.codes li")]
    assert len(codes) == second_factors.RECOVERY_CODES
    return secret, codes


@pytest.fixture
def secret_and_codes(app: Flask, alice: User) -> tuple[str, list[str]]:
    browser = app.test_client()
    login(browser, alice)
    return set_up(browser)


@pytest.fixture
def secret(secret_and_codes: tuple[str, list[str]]) -> str:
    return secret_and_codes[0]


def give_password(client: FlaskClient, **extra: str) -> TestResponse:
    return client.post("/login", data={"username": "alice", "password": PASSWORD, **extra})


def give_code(client: FlaskClient, code: str, **extra: str) -> TestResponse:
    return client.post("/login/code", data={"code": code, **extra})


def test_the_page_shows_a_qr_code_and_the_same_secret_in_letters(client: FlaskClient, alice: User) -> None:
    login(client, alice)
    client.post(PAGE, data={"current": PASSWORD})
    page = BeautifulSoup(client.get(PAGE).text, "html.parser")
    [link] = [str(link["href"]) for link in page.select("a") if str(link.get("href")).startswith("otpauth:")]
    secret = re.search(r"secret=([A-Z2-7]+)", link)
    assert secret is not None
    shown = page.select_one(".cmd code")
    assert shown is not None
    assert shown.text.replace(" ", "") == secret[1]
    drawing = page.select_one(".qr-box svg")
    assert drawing is not None
    assert {element.name for element in drawing.select("*")} == {"path"}


def test_after_the_password_only_the_second_step_can_be_reached(client: FlaskClient, secret: str) -> None:
    answer = give_password(client, next="/jobs")
    assert (answer.status_code, answer.location) == (303, "/login/code?next=/jobs")
    for path in ("/account", "/hosts", "/users", PAGE):
        assert client.get(path).location.startswith("/login?"), path
    assert client.post("/account/sessions/end-others").status_code == 302
    assert client.get("/login/code").status_code == 200
    done = give_code(client, code_at(secret), next="/jobs")
    assert (done.status_code, done.location) == (303, "/jobs")
    assert client.get("/account").status_code == 200


def test_the_second_step_needs_the_first(client: FlaskClient, secret: str) -> None:
    assert client.get("/login/code").location == "/login"
    assert give_code(client, code_at(secret)).location == "/login"
    assert client.get("/account").status_code == 302


def test_a_code_works_once(app: Flask, client: FlaskClient, secret: str) -> None:
    code = code_at(secret)
    give_password(client)
    assert give_code(client, code).status_code == 303
    other = app.test_client()
    give_password(other)
    assert give_code(other, code).status_code == 422
    assert give_code(other, code_at(secret, -1)).status_code == 422
    assert give_code(other, code_at(secret, 1)).status_code == 303


def test_the_code_that_set_it_up_lets_nobody_in(app: Flask, client: FlaskClient, alice: User, secret: str) -> None:
    with app.app_context():
        step = db.session.get_one(User, alice.id).totp_step
    give_password(client)
    assert give_code(client, pyotp.TOTP(secret).generate_otp(step)).status_code == 422


def test_a_recovery_code_works_once_in_any_writing(
    app: Flask, client: FlaskClient, secret_and_codes: tuple[str, list[str]]
) -> None:
    first = secret_and_codes[1][0]
    give_password(client)
    assert give_code(client, f" {first.upper().replace('-', ' ')} ").status_code == 303
    assert "You have 9 left" in client.get("/account").text
    other = app.test_client()
    give_password(other)
    assert give_code(other, first).status_code == 422


def test_recovery_codes_are_stored_as_hashes_and_shown_once(
    app: Flask, client: FlaskClient, alice: User, secret_and_codes: tuple[str, list[str]]
) -> None:
    login(client, alice)
    with app.app_context():
        stored = [row.code_sha256 for row in db.session.query(RecoveryCode)]
        sealed = db.session.get_one(User, alice.id).totp_sealed
        written = str([(event.before, event.after) for event in db.session.query(Event)])
    text = client.get(PAGE).text
    for code in secret_and_codes[1]:
        assert code not in text
        assert code not in written
        assert code.replace("-", "") not in str(stored)
    assert secret_and_codes[0] not in sealed + text + written


def test_guessing_codes_makes_wait_and_the_right_one_too(client: FlaskClient, secret: str) -> None:
    for _ in range(logins.FREE_FAILURES):
        give_password(client)
        give_code(client, "000000")
    give_password(client)
    answer = give_code(client, code_at(secret))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


def test_guesses_of_a_stranger_keep_the_known_device_in(app: Flask, client: FlaskClient, secret: str) -> None:
    give_password(client)
    give_code(client, code_at(secret))
    client.post("/logout")
    stranger = app.test_client()
    give_password(stranger)
    for _ in range(logins.FREE_FAILURES + 1):
        give_code(stranger, "000000")
    assert give_code(stranger, "000000").status_code == 429
    give_password(client)
    assert give_code(client, code_at(secret, 1)).status_code == 303


def test_a_half_way_login_ends_with_a_new_password(app: Flask, client: FlaskClient, alice: User, secret: str) -> None:
    give_password(client)
    browser = app.test_client()
    login(browser, alice)
    new = "quite another long password"
    browser.post("/account", data={"current": PASSWORD, "password": new, "repeat": new})
    assert give_code(client, code_at(secret)).location == "/login"


def test_changing_it_asks_for_the_password(client: FlaskClient, alice: User, secret: str) -> None:
    login(client, alice)
    for path in (f"{PAGE}/turn-off", f"{PAGE}/recovery-codes"):
        assert client.post(path, data={"current": "not the password"}).status_code == 422, path
    assert client.post(f"{PAGE}/turn-off", data={"current": PASSWORD}).status_code == 303
    client.post("/logout")
    assert give_password(client).location == "/"


def test_new_recovery_codes_end_the_old_ones(
    app: Flask, client: FlaskClient, alice: User, secret_and_codes: tuple[str, list[str]]
) -> None:
    login(client, alice)
    assert client.post(f"{PAGE}/recovery-codes", data={"current": PASSWORD}).status_code == 200
    other = app.test_client()
    give_password(other)
    assert give_code(other, secret_and_codes[1][0]).status_code == 422


def test_a_wrong_first_code_turns_nothing_on(client: FlaskClient, alice: User) -> None:
    login(client, alice)
    client.post(PAGE, data={"current": PASSWORD})
    assert client.post(f"{PAGE}/confirm", data={"code": "000000"}).status_code == 422
    client.post("/logout")
    assert give_password(client).location == "/"


def test_confirming_nothing_is_refused(client: FlaskClient, alice: User) -> None:
    login(client, alice)
    assert client.post(f"{PAGE}/confirm", data={"code": "123456"}).status_code == 409


def test_a_reset_ends_all_sessions_and_the_password_is_enough(
    app: Flask, client: FlaskClient, alice: User, bob: User, secret: str
) -> None:
    mine, administrators = app.test_client(), app.test_client()
    login(mine, alice)
    with app.app_context(), transaction():
        db.session.get_one(User, bob.id).role = "administrator"
    login(administrators, bob)
    assert administrators.post(f"/users/{alice.id}/reset-second-factor").status_code == 303
    assert mine.get("/account").status_code == 302
    assert give_password(client).location == "/"


def test_with_another_secret_key_recovery_codes_still_let_in(
    app: Flask, client: FlaskClient, secret_and_codes: tuple[str, list[str]]
) -> None:
    app.config["WAYPOST"] = replace(app.config["WAYPOST"], secret_key="another-key-" * 4)
    give_password(client)
    answer = give_code(client, code_at(secret_and_codes[0]))
    assert answer.status_code == 409
    assert "Use a recovery code" in answer.text
    assert give_code(client, secret_and_codes[1][3]).status_code == 303


@pytest.mark.parametrize("text", ["", "12345", "1234567", "abcdef", "１２３４５６", "12 34 5", "-12345", "1e3456"])  # noqa: RUF001
def test_what_is_no_code_matches_nothing(text: str) -> None:
    assert totp.matching_step(totp.new_secret(), text, datetime.now(UTC)) is None


def test_clocks_may_differ_by_one_step_and_no_more() -> None:
    secret, now = totp.new_secret(), datetime(2026, 11, 25, 12, tzinfo=UTC)
    step = int(now.timestamp()) // totp.STEP
    for away in range(-3, 4):
        code = pyotp.TOTP(secret).at(now + timedelta(seconds=away * totp.STEP))
        assert totp.matching_step(secret, code, now) == (step + away if abs(away) <= 1 else None)
