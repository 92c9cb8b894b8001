"""The wire: refused nonces, Retry-After, busy and strange authorities, trust, throttle, and nothing secret in logs.
May import: agent.acme, tests.agent.acme."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from agent.acme.net import NONCE_TRIES
from agent.acme.pace import ORDERS_AT_ONCE, REQUESTS_AT_ONCE, Throttle, wait
from agent.acme.problems import read_problem, read_reply, retry_after, retry_moment
from agent.acme.spec import AcmeFailure
from agent.errors import Cancelled, Stopping, TimedOut
from agent.nginx.guard import Guard
from tests.agent.acme.front import Front, Reply
from tests.agent.acme.ordering import Place, at_once, authority_of, names_of, new_key, running_place
from tests.pebble import EAB_KEYS, make_certificate, newer_pebble

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def behind(place: Place, front: Front) -> dict[str, Any]:
    """An order that goes through the front."""
    return {"authority": authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)}


@pytest.mark.parametrize(("percent", "orders", "allowed"), [(5, 20, 0), (20, 10, 0), (50, 10, 1), (90, 3, 3)])
def test_refused_nonces_are_replaced(tmp_path: Path, percent: int, orders: int, allowed: int) -> None:
    """At 90 percent twelve tries are often not enough; then it is told as what it is."""
    with running_place(tmp_path, nonce_reject=percent) as place:
        causes = []
        for number in range(orders):
            try:
                place.issue(f"n{number}.example.com")
            except AcmeFailure as failed:
                causes.append(failed.failure.cause)
        assert len(causes) <= allowed
        assert set(causes) <= {"nonce"}
        asked = place.pebble.log.count("POST /order-plz -> calling") + place.pebble.log.count("POST /sign-me-up -> ")
        assert asked > orders + 1 or percent < 50


def test_an_authority_that_refuses_every_nonce_is_given_up_after_some_tries(
    place: Place, front: Front, behind: dict[str, Any]
) -> None:
    front.refuse("^/sign-me-up", "badNonce", "JWS has an invalid anti-replay nonce", times=99)
    assert place.refusal(place.request("app.example.com", **behind)).cause == "nonce"
    assert front.count("^/sign-me-up") == NONCE_TRIES


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "5"}, 5.0),
        ({"Retry-After": " 120 "}, 120.0),
        ({"Retry-After": "Tue, 24 Nov 2026 12:00:05 GMT"}, 5.0),
        ({"Retry-After": "Tue, 24 Nov 2026 14:00:05 +0200"}, 5.0),
        ({"Retry-After": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "Tue, 24 Nov 2026 15:00:05 GMT", "Date": "Tue, 24 Nov 2026 15:00:00 GMT"}, 5.0),
        ({"Retry-After": "99999999999999999999"}, 3650 * 86_400.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Tue, 99 Nov 2026 12:00:05 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Berlin"])
def test_a_retry_date_is_the_same_in_every_time_zone(zone: str) -> None:
    code = (
        "from datetime import *; from email.utils import *; from agent.acme.problems import retry_after\n"
        "now = datetime.now(UTC)\n"
        "print(round(retry_after({'Retry-After': format_datetime(now + timedelta(seconds=60), True)}, now)))"
    )
    environment = {**os.environ, "TZ": zone}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in {"59", "60"}


def test_the_moment_in_the_words_of_a_limit_is_read() -> None:
    assert retry_moment("too many (5), retry after 2026-11-24 14:32:00 UTC: see") == NOW.replace(hour=14, minute=32)
    assert retry_moment("retry after 2026-99-99 14:32:00 UTC") is None
    assert retry_moment("no moment") is None


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>no</html>", b"[]", b"null", b'{"type": 5}', b"\xff\xfe", b'{"type": "x", "subproblems": {"a": 1}}'],
)
def test_any_refusal_can_be_read(body: bytes) -> None:
    problem = read_reply(500, body, {"Retry-After": "60"}, NOW)
    assert problem.status == 500
    assert problem.retry_at == NOW + timedelta(seconds=60)


def test_parts_of_a_problem_name_the_names() -> None:
    document = {
        "type": "urn:ietf:params:acme:error:compound",
        "detail": "\x1b[31mred\u202e",
        "subproblems": [
            {"type": "a:dns", "detail": "x", "identifier": {"type": "dns", "value": "a.example.com"}},
            {"type": "a:caa", "detail": "y", "identifier": {"type": "dns", "value": "b.example.com"}},
            "nonsense",
        ],
    }
    problem = read_problem(document)
    assert problem.names == ("a.example.com", "b.example.com")
    assert problem.detail == "red"


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_polling_follows_the_authoritys_retry_after(
    place: Place, front: Front, behind: dict[str, Any], as_date: bool
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)

    def pending(document: dict[str, object]) -> None:
        document["status"] = "pending"
        for challenge in document["challenges"]:  # type: ignore[attr-defined] # JSON
            challenge["status"] = "pending"

    front.change("^/authZ/", lambda _: None)
    front.change("^/authZ/", pending, Retry_After=later if as_date else "1")
    began = time.monotonic()
    place.issue("app.example.com", **behind)
    assert time.monotonic() - began >= 0.9
    assert front.count("^/authZ/") == 3


def test_an_authority_that_asks_for_more_patience_than_there_is_ends_with_the_moment(
    place: Place, front: Front, behind: dict[str, Any]
) -> None:
    front.refuse("^/order-plz", "rateLimited", "Service busy; retry later.", 503, headers={"Retry-After": "3600"})
    failure = place.refusal(place.request("app.example.com", **behind))
    assert failure.cause == "authority_busy"
    assert failure.retry_at is not None
    assert 3500 < (failure.retry_at - datetime.now(UTC)).total_seconds() <= 3600
    assert front.count("^/order-plz") == 1


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (Reply(200, b"<html><title>Log in</title></html>", {"Content-Type": "text/html"}), "strange_answer"),
        (Reply(200, b"{}"), "strange_answer"),
        (Reply(200, b"[1]"), "strange_answer"),
        (Reply(200, b'{"newNonce": 5, "newAccount": "", "newOrder": ""}'), "strange_answer"),
        (Reply(302, b"", {"Location": "http://169.254.169.254/latest/meta-data/"}), "strange_answer"),
        (Reply(404, b"<html>nothing</html>"), "strange_answer"),
        (Reply(200, b"x" * (2 << 20)), "strange_answer"),
        (Reply(500, b"<html>sorry</html>"), "authority_busy"),
    ],
    ids=["html", "empty", "list", "types", "redirect", "404", "huge", "500"],
)
def test_a_directory_that_is_none_is_told(
    place: Place, front: Front, behind: dict[str, Any], reply: Reply, cause: str
) -> None:
    front.answer("^/dir", reply, times=9)
    failure = place.refusal(place.request("app.example.com", **behind))
    assert failure.cause == cause
    assert "<" not in failure.sentence
    assert place.stage == "order"


def test_an_authority_that_is_not_there_is_told(place: Place) -> None:
    authority = authority_of(place.pebble, directory_url="https://127.0.0.1:1/dir")
    failure = place.refusal(place.request("app.example.com", authority=authority))
    assert failure.cause == "authority_unreachable"
    assert "Test authority cannot be reached" in failure.sentence


def test_an_authority_with_a_certificate_of_somebody_else_is_not_trusted(place: Place, tmp_path: Path) -> None:
    for ca_pem in ("", make_certificate(tmp_path).read_text()):
        authority = authority_of(place.pebble, ca_pem=ca_pem)
        failure = place.refusal(place.request("app.example.com", authority=authority))
        assert failure.cause == "authority_unreachable"
        assert "certificate verify failed" in failure.detail


def test_a_real_authority_is_asked_by_https_only(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=f"http://127.0.0.1:{front.port}/dir", is_test=False)
    failure = place.refusal(place.request("app.example.com", authority=authority))
    assert failure.cause == "strange_answer"
    assert front.seen == []


def test_a_directory_cannot_lead_a_real_order_to_plain_http(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem, is_test=False)
    front.change("^/dir", lambda document: document.update(newNonce="http://169.254.169.254/latest"))
    failure = place.refusal(place.request("app.example.com", authority=authority))
    assert failure.cause == "strange_answer"
    assert "not an https address" in failure.detail


def test_a_real_authority_is_not_flooded() -> None:
    throttle = Throttle()
    waits = [throttle.request() for _ in range(REQUESTS_AT_ONCE + 18)]
    assert sum(1 for seconds in waits if seconds == 0) == REQUESTS_AT_ONCE
    assert 0.9 < waits[-1] < 1.1
    orders = [throttle.order() for _ in range(ORDERS_AT_ONCE + 5)]
    assert 4.5 < orders[-1] <= 5.0
    assert {Throttle(unlimited=True).request() for _ in range(100)} == {0.0}


def test_the_throttle_counts_for_all_threads_together() -> None:
    throttle = Throttle()
    waits = at_once(30, lambda _: throttle.request())
    assert sum(1 for seconds in waits if seconds == 0) == REQUESTS_AT_ONCE


@pytest.mark.parametrize(("event", "error"), [("cancelled", Cancelled), ("stopping", Stopping), ("", TimedOut)])
def test_waiting_ends_when_the_job_must_end(event: str, error: type[Exception]) -> None:
    guard = Guard(time.monotonic() + (60 if event else 0.1))
    if event:
        threading.Timer(0.05, getattr(guard, event).set).start()
    began = time.monotonic()
    with pytest.raises(error):
        wait(guard, 30)
    assert time.monotonic() - began < 2


def test_nothing_secret_is_ever_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The library writes whole signed requests at DEBUG, and urllib3 their addresses."""
    caplog.set_level(logging.DEBUG)
    with running_place(tmp_path, eab=True) as place:
        key = new_key()
        authority = authority_of(place.pebble, eab_kid="kid-1", eab_hmac_key=EAB_KEYS["kid-1"])
        issued = place.issue("app.example.com", key=key, authority=authority)
        assert names_of(issued) == {"app.example.com"}
        place.pebble.stop()
        failure = place.refusal(place.request("app.example.com", key=key, authority=authority))
        written = caplog.text + place.text + repr(failure) + repr(authority) + repr(place.request("a.example.com"))
        (account,) = (tmp_path / "acme").glob("*/account.json")
        secrets = [EAB_KEYS["kid-1"], "PRIVATE KEY", *key.splitlines()[1:2], *account.read_text().split("\\n")[1:2]]
        assert [secret for secret in secrets if secret in written] == []
        assert "payload" not in caplog.text


def test_a_newer_pebble_with_retry_after_of_both_kinds_is_waited_for(tmp_path: Path) -> None:
    retry = {"authz": 1, "order": 1}
    with running_place(tmp_path, binary=newer_pebble(), retryAfter=retry) as place:
        began = time.monotonic()
        place.issue("app.example.com", "www.example.com")
        assert time.monotonic() - began < 20
