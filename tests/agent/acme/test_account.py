"""Accounts: one per directory, on disk, found again, made again, bound to others when the authority wants it.
May import: agent.acme, tests.agent.acme."""

from __future__ import annotations

import json
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwk import JWKEC

from agent.acme.account import AccountFiles
from agent.acme.chain import signing_request
from agent.acme.net import Way
from agent.acme.order import Authorities
from agent.acme.pace import Throttle
from agent.acme.problems import ProblemReply
from agent.acme.session import Session, Sessions
from agent.nginx.guard import Guard
from tests.agent.acme.front import Front
from tests.agent.acme.killed_order import order_and_die
from tests.agent.acme.ordering import Place, at_once, authority_of, names_of, new_key, running_place
from tests.pebble import EAB_KEYS


def accounts(place: Place) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((place.folder / "acme").glob("*/account.json"))]


def test_the_account_is_kept_where_only_the_agent_can_read_it(place: Place) -> None:
    place.issue("app.example.com")
    (path,) = (place.folder / "acme").glob("*/account.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "127.0.0.1" in path.parent.name


def test_a_restarted_agent_uses_its_account_again(place: Place) -> None:
    place.issue("app.example.com")
    before = accounts(place)
    again = place.again()
    again.issue("app.example.com")
    assert accounts(again) == before


def test_an_account_whose_address_was_lost_is_found_by_its_key(place: Place) -> None:
    """The agent died between the authority's answer and the disk."""
    place.issue("app.example.com")
    (path,) = (place.folder / "acme").glob("*/account.json")
    known = json.loads(path.read_text())
    path.write_text(json.dumps({**known, "url": ""}))
    again = place.again()
    again.issue("app.example.com")
    assert json.loads(path.read_text()) == known


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"url": "x"}', '{"directory_url": "x", "key_pem": "junk"}'])
def test_a_damaged_account_file_is_made_anew(place: Place, damage: str) -> None:
    place.issue("app.example.com")
    (path,) = (place.folder / "acme").glob("*/account.json")
    path.write_text(damage)
    assert names_of(place.again().issue("app.example.com")) == {"app.example.com"}


def test_staging_and_production_are_two_accounts_with_two_keys(place: Place, front: Front) -> None:
    authority = authority_of(
        place.pebble, staging_directory_url=front.directory_url, ca_pem=place.pebble.ca_pem + front.ca_pem
    )
    issued = place.issue("app.example.com", authority=authority, staging=True)
    assert issued.directory_url == front.directory_url
    assert front.count("^/order-plz") == 1
    issued = place.issue("app.example.com", authority=authority)
    assert issued.directory_url == place.pebble.directory_url
    assert front.count("^/order-plz") == 1
    first, second = accounts(place)
    assert first["key_pem"] != second["key_pem"]
    assert first["url"] != second["url"]


def test_an_authority_without_staging_says_so(place: Place) -> None:
    failure = place.refusal(place.request("app.example.com", staging=True))
    assert failure.cause == "other"
    assert "staging" in failure.sentence


def test_twenty_first_jobs_make_one_account(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    places = [place.again() for _ in range(20)]
    for mine in places:
        mine.authorities = place.authorities
    results = at_once(20, lambda number: places[number].issue(f"n{number}.example.com", authority=authority))
    assert [result for result in results if isinstance(result, BaseException)] == []
    assert front.count("^/sign-me-up") == 1


def test_a_deactivated_account_is_replaced_by_one_with_a_new_key(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    place.issue("app.example.com", authority=authority)
    (before,) = accounts(place)
    detail = 'Account is not valid, has status "deactivated"'
    front.refuse("^/order-plz", "unauthorized", detail, 403)
    place.issue("app.example.com", authority=authority)
    (after,) = accounts(place)
    assert after["key_pem"] != before["key_pem"]
    assert "Making it again" in place.text


def test_an_account_that_is_deactivated_at_the_authority_is_noticed(place: Place) -> None:
    """Deactivated with a request of its own, as a person may do it with another client."""
    place.issue("app.example.com")
    deactivate(place)
    assert names_of(place.issue("app.example.com")) == {"app.example.com"}
    assert "Making it again" in place.text


def test_one_that_is_deactivated_in_the_middle_of_an_order_is_made_again(place: Place) -> None:
    key = new_key()
    code, url = order_and_die(place, "app.example.com", key, "acme:challenge_placed")
    assert code == -signal.SIGKILL
    deactivate(place)
    again = place.again()
    issued = again.obtain(again.request("app.example.com", key=key, order_url=url))
    assert names_of(issued) == {"app.example.com"}
    assert "Making it again" in again.text


def open_session(place: Place) -> Session:
    """A conversation under the account of this agent, without the agent's own rules."""
    files = AccountFiles(place.folder / "acme")
    authority = authority_of(place.pebble)
    way = Way(files.ca_file(authority, authority.directory_url), "tests", Throttle(unlimited=True), is_test=True)
    session = Sessions(files).existing(authority.directory_url, way, Guard(time.monotonic() + 30))
    assert session is not None
    return session


def deactivate(place: Place) -> None:
    session = open_session(place)
    session.post(session.net.kid, {"status": "deactivated"})


def test_an_account_that_keeps_being_refused_ends_the_job(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    front.refuse("^/order-plz", "accountDoesNotExist", "unable to find account", 400, times=9)
    failure = place.refusal(place.request("app.example.com", authority=authority))
    assert failure.cause == "account_gone"
    assert front.count("^/order-plz") == 2


def test_a_new_address_for_mail_is_told_to_the_authority(place: Place, front: Front) -> None:
    authority = authority_of(
        place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem, email="a@example.com"
    )
    place.issue("app.example.com", authority=authority)
    assert any(payload.get("contact") == ["mailto:a@example.com"] for payload in front.payloads)
    changed = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem, email="b@example.com")
    place.issue("app.example.com", authority=changed)
    place.issue("app.example.com", authority=changed)
    assert [payload["contact"] for payload in front.payloads if "contact" in payload] == [
        ["mailto:a@example.com"],
        ["mailto:b@example.com"],
    ]


def test_the_terms_are_agreed_to_because_there_is_no_account_without(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    place.issue("app.example.com", authority=authority)
    assert any(payload.get("termsOfServiceAgreed") is True for payload in front.payloads)
    place.issue("app.example.com")
    session = open_session(place)
    session.net.key, session.net.kid = JWKEC(key=ec.generate_private_key(ec.SECP256R1())), ""
    with pytest.raises(ProblemReply, match="terms of service"):
        session.post(session.directory.new_account, {"termsOfServiceAgreed": False})


def test_a_request_for_other_names_than_those_of_the_order_is_refused(place: Place) -> None:
    """The agent never asks so; the authority would see it."""
    key = new_key()
    _, url = order_and_die(place, "app.example.com", key, "acme:validated")
    session = open_session(place)
    ready = session.order(url)[0]
    assert ready.status == "ready"
    with pytest.raises(ProblemReply) as caught:
        session.finalize(ready, signing_request(key, ("other.example.com",)))
    assert caught.value.problem.kind == "unauthorized"


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An authority that wants external account binding."""
    with running_place(tmp_path_factory.mktemp("bound"), eab=True) as place:
        yield place


KEY = EAB_KEYS["kid-1"]
ORDINARY = KEY.replace("-", "+").replace("_", "/")


@pytest.mark.parametrize("key", [KEY, KEY + "==", f" {KEY}\n", ORDINARY], ids=["plain", "padded", "space", "ordinary"])
def test_good_values_of_a_binding_are_taken_as_people_paste_them(bound: Place, tmp_path: Path, key: str) -> None:
    bound.authorities = Authorities(tmp_path, bound.webroot.folder, "tests")
    authority = authority_of(bound.pebble, eab_kid="kid-1", eab_hmac_key=key)
    assert names_of(bound.issue("app.example.com", authority=authority)) == {"app.example.com"}


@pytest.mark.parametrize(
    ("kid", "key"),
    [
        ("", ""),
        ("kid-1", ""),
        ("", KEY),
        ("kid-9", KEY),
        ("kid-1", KEY[:-4] + "AAAA"),
        ("kid-1", "no base64!"),
        ("kid-1", "A"),
    ],
    ids=["none", "no key", "no kid", "wrong kid", "wrong key", "junk", "too short"],
)
def test_bad_values_of_a_binding_are_told_in_plain_words(bound: Place, tmp_path: Path, kid: str, key: str) -> None:
    bound.authorities = Authorities(tmp_path, bound.webroot.folder, "tests")
    authority = authority_of(bound.pebble, eab_kid=kid, eab_hmac_key=key)
    failure = bound.refusal(bound.request("app.example.com", authority=authority))
    assert failure.cause == "external_account"
    assert "external account binding" in failure.sentence
    assert len(key) < 5 or key not in failure.sentence + failure.detail


def test_an_account_folder_that_cannot_be_written_is_told(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place.authorities = Authorities(tmp_path / "file" / "acme", place.webroot.folder, "tests")
    failure = place.refusal(place.request("app.example.com"))
    assert failure.cause == "storage"
    assert str(tmp_path / "file") in failure.sentence


def test_a_webroot_that_cannot_be_written_is_told_before_anything_is_answered(
    place: Place, front: Front, tmp_path: Path
) -> None:
    (tmp_path / "webroot").write_text("a file in the place of the folder")
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    place.authorities = Authorities(tmp_path / "acme", tmp_path / "webroot", "tests")
    failure = place.refusal(place.request("app.example.com", authority=authority))
    assert failure.cause == "storage"
    assert place.stage == "challenge"
    assert front.count("^/chalZ/") == 0
