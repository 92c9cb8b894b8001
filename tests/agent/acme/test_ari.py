"""Renewal information and revocation: read with care, and never a reason not to renew.
May import: agent.acme, tests.agent.acme."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from agent.acme.ari import certificate_id
from agent.acme.order import Authorities
from agent.acme.spec import AcmeFailure, Authority, Issued
from tests.agent.acme.front import Front, Reply, running_front
from tests.agent.acme.ordering import Place, authority_of, leaf_of, new_key, running_place
from tests.pebble import newer_pebble


@pytest.fixture(scope="module")
def new_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A newer Pebble."""
    with running_place(tmp_path_factory.mktemp("new"), binary=newer_pebble()) as place:
        yield place


@pytest.fixture
def issued(new_place: Place) -> Issued:
    return new_place.issue("app.example.com")


def window(start: datetime, end: datetime, **more: str) -> str:
    return json.dumps({"suggestedWindow": {"start": start.isoformat(), "end": end.isoformat()}, **more})


def test_the_window_of_a_certificate_lies_before_its_end(new_place: Place, issued: Issued) -> None:
    info = new_place.authorities.renewal_info(authority_of(new_place.pebble), issued.leaf_pem)
    assert info is not None
    leaf = leaf_of(issued)
    assert leaf.not_valid_before_utc < info.start < info.end < leaf.not_valid_after_utc
    assert info.start.tzinfo is not None
    assert 60 <= info.retry_after <= 86_400


def test_the_id_of_the_rfcs_example_is_right() -> None:
    """RFC 9773 section 4.1."""
    pem = """-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
"""
    assert certificate_id(pem) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


def test_a_window_in_the_past_says_why(new_place: Place, issued: Issued) -> None:
    now = datetime.now(UTC)
    page = "https://authority.example/incident"
    text = window(now - timedelta(days=2), now - timedelta(days=1), explanationURL=page)
    new_place.pebble.set_renewal_info(issued.leaf_pem, text)
    info = new_place.authorities.renewal_info(authority_of(new_place.pebble), issued.leaf_pem)
    assert info is not None
    assert info.end < now
    assert info.explanation_url == page


def test_a_revoked_certificate_is_to_be_renewed_now(new_place: Place, issued: Issued) -> None:
    authority = authority_of(new_place.pebble)
    new_place.authorities.revoke(authority, issued.leaf_pem, issued.key_pem, 1)
    info = new_place.authorities.renewal_info(authority, issued.leaf_pem)
    assert info is not None
    assert info.start < datetime.now(UTC)


NOW = datetime.now(UTC)
BAD = {
    "not JSON": "<html>",
    "empty": "{}",
    "a list": "[]",
    "null": "null",
    "no window": '{"suggestedWindow": {}}',
    "no dates": '{"suggestedWindow": {"start": "soon", "end": "later"}}',
    "numbers": '{"suggestedWindow": {"start": 5, "end": 6}}',
    "no zone": '{"suggestedWindow": {"start": "2026-01-01T00:00:00", "end": "2026-01-02T00:00:00"}}',
    "end first": window(NOW + timedelta(days=2), NOW + timedelta(days=1)),
    "no width": window(NOW, NOW),
    "far future": window(NOW + timedelta(days=40_000), NOW + timedelta(days=40_001)),
}


@pytest.fixture
def behind(new_place: Place, tmp_path: Path) -> Iterator[tuple[Front, Authority]]:
    """The same through a front, whose account is of no matter: renewal information needs none."""
    with running_front(tmp_path / "front", new_place.pebble) as front:
        yield front, authority_of(new_place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_an_answer_that_makes_no_sense_is_none(
    new_place: Place, issued: Issued, behind: tuple[Front, Authority], text: str
) -> None:
    front, authority = behind
    front.answer("renewalInfo", Reply(200, text.encode()))
    assert new_place.authorities.renewal_info(authority, issued.leaf_pem) is None
    assert front.count("renewalInfo") == 1


@pytest.mark.parametrize("status", [404, 400, 500])
def test_a_refusal_is_none(new_place: Place, issued: Issued, behind: tuple[Front, Authority], status: int) -> None:
    front, authority = behind
    front.answer("renewalInfo", Reply(status, b"<html>no</html>"))
    assert new_place.authorities.renewal_info(authority, issued.leaf_pem) is None


@pytest.mark.parametrize(("said", "seconds"), [("0", 60.0), ("7200", 7200.0), ("9999999", 86_400.0), ("x", 21_600.0)])
def test_the_next_question_is_between_a_minute_and_a_day_away(
    new_place: Place, issued: Issued, behind: tuple[Front, Authority], said: str, seconds: float
) -> None:
    front, authority = behind
    front.change("renewalInfo", lambda _: None, Retry_After=said)
    info = new_place.authorities.renewal_info(authority, issued.leaf_pem)
    assert info is not None
    assert info.retry_after == seconds


def test_a_window_never_ends_after_the_certificate(
    new_place: Place, issued: Issued, behind: tuple[Front, Authority]
) -> None:
    front, authority = behind
    end = leaf_of(issued).not_valid_after_utc
    text = window(end - timedelta(days=3), end + timedelta(days=300))
    front.answer("renewalInfo", Reply(200, text.encode()))
    info = new_place.authorities.renewal_info(authority, issued.leaf_pem)
    assert info is not None
    assert info.end == end


def test_an_authority_that_has_none_or_is_away_is_no_reason_to_fail(place: Place, new_place: Place) -> None:
    old = place.issue("app.example.com")
    assert place.authorities.renewal_info(authority_of(place.pebble), old.leaf_pem) is None
    away = authority_of(new_place.pebble, directory_url="https://127.0.0.1:1/dir")
    assert place.authorities.renewal_info(away, old.leaf_pem) is None
    assert place.authorities.renewal_info(authority_of(new_place.pebble), old.leaf_pem) is None  # of another issuer


@pytest.mark.parametrize("leaf_pem", ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_certificate_that_is_none_has_no_window(new_place: Place, leaf_pem: str) -> None:
    assert new_place.authorities.renewal_info(authority_of(new_place.pebble), leaf_pem) is None


def test_an_account_folder_that_cannot_be_written_is_no_reason_to_fail(new_place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    engine = Authorities(tmp_path / "file" / "acme", tmp_path, "tests")
    assert engine.renewal_info(authority_of(new_place.pebble), "") is None


def test_a_directory_says_what_the_check_needs(new_place: Place) -> None:
    facts = new_place.authorities.directory(authority_of(new_place.pebble))
    assert facts.has_renewal_info
    assert not facts.needs_binding
    assert facts.terms_url
    assert facts.date is not None
    assert abs((facts.date - datetime.now(UTC)).total_seconds()) < 60


def test_a_directory_that_is_away_is_told(place: Place) -> None:
    with pytest.raises(AcmeFailure) as caught:
        place.authorities.directory(authority_of(place.pebble, directory_url="https://127.0.0.1:1/dir"))
    assert caught.value.failure.cause == "authority_unreachable"


def test_revoked_by_the_account_and_revoked_again(place: Place) -> None:
    issued = place.issue("app.example.com")
    authority = authority_of(place.pebble)
    place.authorities.revoke(authority, issued.leaf_pem, issued.key_pem, 0)
    assert place.pebble.status_of(issued.leaf_pem) == "Revoked"
    place.authorities.revoke(authority, issued.leaf_pem, issued.key_pem, 0)


@pytest.mark.parametrize(
    "key", [new_key(), new_key(curve=ec.SECP384R1()), new_key(2048)], ids=["ec-256", "ec-384", "rsa-2048"]
)
def test_revoked_by_its_own_key_where_the_account_is_another(place: Place, tmp_path: Path, key: str) -> None:
    issued = place.issue("app.example.com", key=key)
    stranger = replace(place, authorities=Authorities(tmp_path / "stranger", place.webroot.folder, "tests"))
    authority = authority_of(place.pebble)
    stranger.authorities.revoke(authority, issued.leaf_pem, issued.key_pem, 1)
    assert place.pebble.status_of(issued.leaf_pem) == "Revoked"
    other = place.issue("app.example.com", key=new_key())
    stranger.issue("stranger.example.com")
    stranger.authorities.revoke(authority, other.leaf_pem, other.key_pem, 4)
    assert place.pebble.status_of(other.leaf_pem) == "Revoked"


def test_a_reason_that_does_not_exist_is_refused(place: Place) -> None:
    issued = place.issue("app.example.com")
    with pytest.raises(AcmeFailure) as caught:
        place.authorities.revoke(authority_of(place.pebble), issued.leaf_pem, issued.key_pem, 7)
    assert "7" in caught.value.failure.detail
    assert place.pebble.status_of(issued.leaf_pem) == "Valid"


def test_what_another_authority_issued_is_not_revoked_here(place: Place, new_place: Place, issued: Issued) -> None:
    with pytest.raises(AcmeFailure):
        place.authorities.revoke(authority_of(place.pebble), issued.leaf_pem, issued.key_pem, 0)
    assert new_place.pebble.status_of(issued.leaf_pem) == "Valid"
