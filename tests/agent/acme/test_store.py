"""What the agent remembers of certificates outlives restarts, and nobody else reads it.
May import: agent."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.acme.spec import Authority, CertificateSpec, Challenge, Failure, KeyType
from agent.acme.state import Install, Memory, Order, Source, Window, read_memory, write_memory
from agent.acme.store import Store
from agent.dns.credential import DnsCredential

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SPEC = CertificateSpec(
    "a.example",
    ("a.example", "*.a.example"),
    (Authority("1", "Main", "https://ca.example/dir", eab_kid="kid", eab_hmac_key="eab-secret", is_test=True),),
    Challenge.DNS_01,
    DnsCredential("4", "Cloudflare", "cloudflare", {"token": "dns-secret"}),
    KeyType.EC_384,
    "tlsserver",
    is_paused=True,
    propagation_seconds=30,
)
MEMORY = Memory(
    "a.example",
    Source.ACME,
    SPEC,
    Order("https://ca.example/dir", "https://ca.example/order/1", ("a.example",), "order-secret"),
    Window("ab", NOW, NOW + timedelta(days=2), NOW + timedelta(days=1), "https://incident.example"),
    Install(3, 2, "switch"),
    NOW,
    NOW,
    2,
    1,
    Failure("other", "It failed.", names=("a.example",), retry_at=NOW),
    NOW,
    NOW,
    NOW,
    "https://ca.example/dir",
    "ab",
    NOW,
)


def test_all_of_it_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "acme")
    store.put(MEMORY)
    store.put(Memory("b.example", Source.UPLOAD))
    store.close()
    store = Store(tmp_path / "acme")
    assert store.get("a.example") == MEMORY
    assert [memory.name for memory in store.all()] == ["a.example", "b.example"]
    assert store.update("b.example", failures=3).failures == 3
    assert store.update("c.example", failures=1) == Memory("c.example", failures=1)
    store.forget("b.example")
    assert store.get("b.example") is None
    store.close()


def test_only_this_user_can_read_it_and_no_secret_is_shown(tmp_path: Path) -> None:
    Store(tmp_path / "acme").close()
    assert (tmp_path / "acme").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "acme" / "certificates.sqlite3").stat().st_mode & 0o777 == 0o600
    for secret in ("eab-secret", "dns-secret", "order-secret"):
        assert secret not in repr(MEMORY)
        assert secret in write_memory(MEMORY)


def test_fields_of_a_newer_agent_are_left_out() -> None:
    text = write_memory(Memory("a.example")).replace('{"name"', '{"newer": {"x": 1}, "name"', 1)
    assert read_memory(text) == Memory("a.example")


def test_what_cannot_be_read_harms_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "acme")
    store.put(MEMORY)
    with sqlite3.connect(tmp_path / "acme" / "certificates.sqlite3") as db:
        db.execute("INSERT INTO certificate VALUES ('bad', '{}')")
    db.close()
    assert store.get("bad") is None
    assert [memory.name for memory in store.all()] == ["a.example"]
    store.close()


def test_issues_are_counted_per_authority_and_forgotten_after_a_month(tmp_path: Path) -> None:
    store = Store(tmp_path / "acme")
    for days, url in ((40, "one"), (8, "one"), (1, "one"), (1, "other")):
        store.record_issue(url, ("b", "a"), NOW - timedelta(days=days))
    assert store.issues_since("one", NOW - timedelta(days=7)) == [(("a", "b"), NOW - timedelta(days=1))]
    assert len(store.issues_since("one", NOW - timedelta(days=99))) == 2
    store.close()


@pytest.mark.parametrize("damage", [b"no database", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "acme" / "certificates.sqlite3"
    path.parent.mkdir()
    path.write_bytes(damage)
    store = Store(path.parent)
    assert store.quarantined is not None
    assert store.quarantined.read_bytes() == damage
    store.put(MEMORY)
    store.close()


def test_one_of_another_version_is_set_aside(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "certificates.sqlite3") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    store = Store(tmp_path)
    assert store.quarantined is not None
    store.close()
