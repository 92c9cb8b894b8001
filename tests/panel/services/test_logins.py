"""Counting attempts: by account and place, and by known device."""

from __future__ import annotations

import pytest

from panel.errors import Throttled
from panel.extensions import db, transaction
from panel.models import LoginThrottle, User
from panel.models.types import utcnow
from panel.services import logins
from panel.services.logins import Place

pytestmark = pytest.mark.usefixtures("context")

HERE = Place("192.0.2.7")


def fail(username: str = "alice", place: Place = HERE, times: int = 1) -> None:
    for _ in range(times):
        with transaction():
            logins.finish(logins.begin(username, place), is_right=False)


def test_attempts_under_way_count_already(alice: User) -> None:
    for _ in range(logins.FREE_FAILURES):
        with transaction():
            logins.begin("alice", HERE)
    with pytest.raises(Throttled), transaction():
        logins.begin("alice", HERE)


def test_another_address_is_another_place(alice: User) -> None:
    fail(times=logins.FREE_FAILURES)
    with transaction():
        assert logins.begin("alice", Place("198.51.100.9")).user_id == alice.id


def test_addresses_of_one_ipv6_home_are_one_place(alice: User) -> None:
    for number in range(logins.FREE_FAILURES):
        fail(place=Place(f"2001:db8:1:2::{number}"))
    with pytest.raises(Throttled), transaction():
        logins.begin("alice", Place("2001:db8:1:2:ffff::1"))
    with transaction():
        logins.begin("alice", Place("2001:db8:1:3::1"))


def test_an_ipv4_address_in_ipv6_clothes_is_the_same_place(alice: User) -> None:
    fail(times=logins.FREE_FAILURES)
    with pytest.raises(Throttled), transaction():
        logins.begin("alice", Place("::ffff:192.0.2.7"))


@pytest.mark.parametrize("address", ["", "unix:", "not an address"])
def test_an_address_that_is_none_is_counted_too(alice: User, address: str) -> None:
    fail(place=Place(address), times=logins.FREE_FAILURES)
    with pytest.raises(Throttled), transaction():
        logins.begin("alice", Place(address))


def test_a_refused_attempt_is_not_counted_again(alice: User) -> None:
    fail(times=logins.FREE_FAILURES)
    for _ in range(3):
        with pytest.raises(Throttled), transaction():
            logins.begin("alice", HERE)
    failures = db.session.scalars(db.select(LoginThrottle.failures)).all()
    assert set(failures) == {logins.FREE_FAILURES}


def test_old_failures_are_forgotten(alice: User) -> None:
    fail(times=logins.FREE_FAILURES)
    for row in db.session.scalars(db.select(LoginThrottle)):
        row.last_failure_at = utcnow() - logins.MEMORY * 1.1
    db.session.commit()
    with transaction():
        logins.begin("alice", HERE)
    assert set(db.session.scalars(db.select(LoginThrottle.failures))) == {1}


def test_a_password_changed_meanwhile_does_not_let_in(alice: User) -> None:
    with transaction():
        attempt = logins.begin("alice", HERE)
    with transaction():
        alice.password_hash = "another"
    with transaction():
        assert logins.finish(attempt, is_right=True) is None
