"""Password hashes."""

from __future__ import annotations

import gevent
import psutil
import pytest
from argon2 import extract_parameters

from panel import passwords

PASSWORD = "correct horse battery staple"


def test_a_hash_is_argon2id_with_one_lane_and_its_own_salt() -> None:
    first, second = passwords.hash_password(PASSWORD), passwords.hash_password(PASSWORD)
    assert first.startswith("$argon2id$")
    assert ",p=1$" in first
    assert first != second


def test_hashing_gives_its_memory_back() -> None:
    process = psutil.Process()
    passwords.hash_password(PASSWORD)
    before = process.memory_info().rss
    for _ in range(6):
        gevent.joinall([gevent.spawn(passwords.hash_password, PASSWORD) for _ in range(2)])
    assert process.memory_info().rss - before < 8 << 20


def test_only_the_right_password_fits() -> None:
    stored = passwords.hash_password(PASSWORD)
    assert passwords.verify(stored, PASSWORD)
    assert not passwords.verify(stored, PASSWORD + " ")
    assert not passwords.verify("not a hash", PASSWORD)


def test_nobody_has_the_dummy_password() -> None:
    assert not passwords.verify(None, PASSWORD)
    assert not passwords.verify(None, "nobody has this password")


def test_an_unknown_person_costs_as_much_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    stored, tried = passwords.hash_password(PASSWORD), list[str]()
    passwords.verify(None, "warm up")

    class Counted:
        """Notes what each try is compared with."""

        def verify(self, known: str, password: str) -> bool:
            tried.append(known)
            return hasher.verify(known, password)

    hasher = passwords._hasher
    monkeypatch.setattr(passwords, "_hasher", Counted())
    for known in (None, "", stored):
        assert not passwords.verify(known, "wrong")
    assert len(tried) == 3
    assert {repr(extract_parameters(known)) for known in tried} == {repr(extract_parameters(stored))}


def test_other_greenlets_run_while_a_hash_is_computed() -> None:
    turns = 0

    def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    counter = gevent.spawn(count)
    passwords.hash_password(PASSWORD)
    counter.kill()
    assert turns > 3
