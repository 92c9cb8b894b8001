"""The agent, the authority or the network dies in the middle of an order: it goes on, and one certificate is issued.
May import: agent.acme, tests.agent.acme."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from agent.acme.order import Authorities
from tests.agent.acme.front import Front, Reply
from tests.agent.acme.killed_order import order_and_die
from tests.agent.acme.ordering import Place, authority_of, leaf_of, names_of, new_key, running_place
from tests.pebble import newer_pebble

POINTS = ["order_stored", "challenge_placed", "challenge_answered", "validated", "finalized", "downloaded"]


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_agent_goes_on_with_its_order_and_one_certificate_is_issued(place: Place, point: str) -> None:
    key, before = new_key(), place.pebble.issued()
    code, url = order_and_die(place, "app.example.com", key, f"acme:{point}")
    assert code == -signal.SIGKILL
    again = place.again()
    issued = again.obtain(again.request("app.example.com", key=key, order_url=url))
    assert names_of(issued) == {"app.example.com"}
    assert "Going on with the order" in again.text
    assert place.pebble.issued() - before == 1
    assert again.log.urls == []
    assert again.tokens() == []
    assert len(list((place.folder / "acme").glob("*/account.json"))) == 1


def test_an_agent_that_is_killed_again_and_again_still_ends_with_one_certificate(place: Place) -> None:
    key, before, url = new_key(), place.pebble.issued(), ""
    for point in POINTS:
        code, url = order_and_die(place, "app.example.com", key, f"acme:{point}", order_url=url)
        assert code in {-signal.SIGKILL, 0}
    again = place.again()
    again.obtain(again.request("app.example.com", key=key, order_url=url))
    assert place.pebble.issued() - before == 1


def test_a_finished_order_gives_the_same_certificate_again(place: Place) -> None:
    key = new_key()
    first = place.issue("app.example.com", key=key)
    again = place.again()
    second = again.obtain(again.request("app.example.com", key=key, order_url=again.log.url))
    assert first.leaf_pem == second.leaf_pem


@pytest.mark.parametrize("change", ["names", "key"])
def test_an_order_for_something_else_is_not_taken_up(place: Place, change: str) -> None:
    key = new_key()
    place.issue("app.example.com", key=key)
    name = "other.example.com" if change == "names" else "app.example.com"
    again = place.again()
    request = again.request(name, key=key if change == "names" else new_key(), order_url=again.log.url)
    issued = again.obtain(request)
    assert names_of(issued) == {name}
    assert issued.key_pem == request.key_pem


@pytest.mark.parametrize("point", ["challenge_placed", "validated", "finalized"])
def test_an_authority_that_lost_its_memory_gets_a_new_account_and_order(tmp_path: Path, point: str) -> None:
    with running_place(tmp_path) as place:
        key = new_key()
        _, url = order_and_die(place, "app.example.com", key, f"acme:{point}")
        place.pebble.restart()
        again = place.again()
        issued = again.obtain(again.request("app.example.com", key=key, order_url=url))
        assert names_of(issued) == {"app.example.com"}
        assert "does not know this account" in again.text
        assert again.log.urls[0] == ""
        assert again.log.url != url


def test_an_authority_that_dies_during_the_order_is_told_as_unreachable(tmp_path: Path) -> None:
    with running_place(tmp_path) as place:
        place.issue("app.example.com")
        place.pebble.stop()
        failure = place.refusal(place.request("app.example.com"))
        assert failure.cause == "authority_unreachable"
        assert "refused" in failure.detail
        assert "object at" not in failure.detail
        assert place.stage == "order"
        place.pebble.start()
        assert names_of(place.issue("app.example.com")) == {"app.example.com"}


@pytest.mark.parametrize("path", ["^/order-plz", "^/chalZ/", "^/finalize-order/", "^/certZ/", "^/my-order/"])
def test_a_busy_moment_at_any_step_is_waited_out(place: Place, front: Front, path: str) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    before = place.pebble.issued()
    front.refuse(path, "serverInternal", "Service busy; retry later.", 503, headers={"Retry-After": "0"})
    front.answer(path, Reply(503, b"<html>upstream</html>"))
    place.issue("app.example.com", authority=authority)
    assert place.pebble.issued() - before == 1


@pytest.mark.parametrize(
    "path", ["^/sign-me-up", "^/order-plz", "^/chalZ/", "^/finalize-order/", "^/certZ/", "^/authZ/"]
)
def test_an_answer_that_is_lost_on_its_way_costs_no_second_certificate(place: Place, front: Front, path: str) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    before = place.pebble.issued()
    front.lose(path)
    assert names_of(place.issue("app.example.com", authority=authority)) == {"app.example.com"}
    assert place.pebble.issued() - before == 1
    assert len(list((place.folder / "acme").glob("*/account.json"))) == 1


@pytest.mark.parametrize("path", ["^/finalize-order/", "^/certZ/", "^/my-order/"])
def test_a_network_that_breaks_late_is_gone_on_from(place: Place, front: Front, path: str) -> None:
    """The job fails; the next one finds the order where it stands."""
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    key, before = new_key(), place.pebble.issued()
    front.lose(path, times=9)
    told = place.refusal(place.request("app.example.com", key=key, authority=authority))
    assert told.cause == "authority_unreachable"
    assert place.log.url
    front.rules.clear()
    again = place.again()
    again.obtain(again.request("app.example.com", key=key, order_url=again.log.url, authority=authority))
    assert place.pebble.issued() - before == 1


@pytest.mark.parametrize("status", ["invalid", "deactivated", "expired", "revoked", "nonsense"])
def test_an_authorization_in_any_end_state_ends_the_order(place: Place, front: Front, status: str) -> None:
    """`expired` breaks the library's own reading; `deactivated` passes it unseen."""
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    front.change("^/authZ/", lambda document: document.update(status=status), times=9)
    failure = place.refusal(place.request("app.example.com", authority=authority))
    assert failure.cause == "order_expired"
    assert failure.names == ("app.example.com",)
    assert place.log.url == ""


def test_an_order_that_is_not_ready_yet_is_waited_for(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    front.refuse("^/finalize-order/", "orderNotReady", "Order is not ready for finalization", 403)
    assert names_of(place.issue("app.example.com", authority=authority)) == {"app.example.com"}


def test_an_order_that_becomes_invalid_says_why(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    error = {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA record for example.com prevents issuance"}
    front.change("^/finalize-order/", lambda document: document.update(status="invalid", error=error))
    failure = place.refusal(place.request("app.example.com", authority=authority))
    assert failure.cause == "caa_forbids"
    assert place.stage == "issued"
    assert place.log.url == ""


def test_an_order_past_its_time_is_made_anew(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    key = new_key()
    code, url = order_and_die(place, "app.example.com", key, "acme:order_stored", authority)
    assert code == -signal.SIGKILL
    front.change("^/my-order/", lambda document: document.update(expires="2026-01-01T00:00:00Z"))
    again = place.again()
    issued = again.obtain(again.request("app.example.com", key=key, order_url=url, authority=authority))
    assert leaf_of(issued)
    assert "of no use any more" in again.text
    assert again.log.urls[0] == ""


def test_a_renewal_replaces_and_goes_on_without_when_it_may_not(tmp_path: Path) -> None:
    with running_place(tmp_path, binary=newer_pebble()) as place:
        first = place.issue("app.example.com")
        place.issue("app.example.com", replaces_pem=first.leaf_pem)
        assert "is a replacement of" in place.pebble.log
        assert "Going on without" not in place.text
        place.issue("app.example.com", replaces_pem=first.leaf_pem)
        assert "Going on without" in place.text
        second = place.issue("b.example.com")
        others = replace(place, authorities=Authorities(tmp_path / "other", place.webroot.folder, "tests"), lines=[])
        others.issue("b.example.com", replaces_pem=second.leaf_pem)  # of another account
        assert "Going on without" in others.text
        place.lines.clear()
        place.issue("stranger.example.com", replaces_pem=second.leaf_pem)  # for other names
        assert "Going on without" in place.text
        assert names_of(place.issue("a.example.com", replaces_pem="garbage")) == {"a.example.com"}
