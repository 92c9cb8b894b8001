"""The journal: nothing is lost, nothing is taken twice, a damaged file is set aside.
May import: agent."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from agent.journal import MAX_OPEN, MAX_OWN, ApplyEntry, Journal, Origin, State, Verdict


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite3"


def reopen(journal: Journal, path: Path) -> Journal:
    journal.close()
    return Journal(path)


def test_a_command_is_taken_once_and_another_payload_is_a_conflict(path: Path) -> None:
    journal = Journal(path)
    assert journal.accept("a", 1, "reload", "hash", b"payload") is Verdict.ACCEPTED
    journal = reopen(journal, path)
    assert journal.accept("a", 1, "reload", "hash", b"payload") is Verdict.DUPLICATE
    assert journal.accept("a", 1, "reload", "other", b"payload") is Verdict.CONFLICT
    (entry,) = journal.open_commands()
    assert (entry.payload, entry.state) == (b"payload", State.ACCEPTED)
    assert 0 <= entry.age < 60
    journal.close()


def test_output_and_result_outlive_a_restart_until_they_are_confirmed(path: Path) -> None:
    journal = Journal(path)
    journal.accept("a", 1, "reload", "hash", b"payload")
    journal.start("a")
    journal.append_lines("a", [(1, 0.0, "", "info", "one"), (2, 0.0, "", "info", "two")])
    journal.finish("a", b"result")
    journal.finish("a", b"another")
    journal = reopen(journal, path)
    (entry,) = journal.open_commands()
    assert (entry.state, entry.result, entry.last_seq) == (State.FINISHED, b"result", 2)
    journal.confirm("a", 1, final_stored=False)
    assert [line[4] for line in journal.lines_after("a", 0, 10)] == ["two"]
    journal.confirm("a", 2, final_stored=True)
    assert journal.open_commands() == []
    assert journal.accept("a", 1, "reload", "hash", b"payload") is Verdict.DUPLICATE
    journal.close()


def test_a_command_that_has_not_ended_cannot_be_confirmed_as_ended(path: Path) -> None:
    journal = Journal(path)
    journal.accept("a", 1, "reload", "hash", b"payload")
    journal.confirm("a", 0, final_stored=True)
    assert len(journal.open_commands()) == 1
    journal.close()


def test_a_forgotten_command_is_not_replayed(path: Path) -> None:
    journal = Journal(path)
    journal.accept("a", 1, "reload", "hash", b"payload")
    journal.append_lines("a", [(1, 0.0, "", "info", "one")])
    journal.forget("a")
    assert journal.open_commands() == []
    assert journal.lines_after("a", 0, 10) == []
    journal.close()


def test_ids_are_kept_seven_days_and_open_commands_longer(path: Path) -> None:
    journal = Journal(path)
    for seq, name in enumerate(("settled", "open", "young"), start=1):
        journal.accept(name, seq, "reload", "hash", b"payload")
    for name in ("settled", "young"):
        journal.finish(name, b"result")
        journal.confirm(name, 0, final_stored=True)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE command SET accepted_at = accepted_at - 8 * 86400 WHERE id != 'young'")
    db.close()
    journal.prune()
    assert journal.get("settled") is None
    assert journal.get("open") is not None
    assert journal.get("young") is not None
    journal.close()


def test_there_is_a_limit_to_what_is_taken_in(path: Path) -> None:
    journal = Journal(path)
    journal.accept("0", 0, "reload", "hash", b"")
    with sqlite3.connect(path) as db:
        rows = [(str(n), n) for n in range(1, MAX_OPEN)]
        db.executemany(
            "INSERT INTO command (id, seq, kind, payload_hash, state, accepted_at, accepted_ticks, kernel_boot)"
            " VALUES (?, ?, '', '', 'accepted', 0, 0, '')",
            rows,
        )
    db.close()
    assert journal.accept("more", 1, "reload", "hash", b"") is Verdict.FULL
    journal.close()


@pytest.mark.parametrize("damage", [b"this is no database at all", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    journal = Journal(path)
    assert journal.quarantined is not None
    assert journal.quarantined.read_bytes() == damage
    assert journal.accept("a", 1, "reload", "hash", b"payload") is Verdict.ACCEPTED
    journal.close()


def test_a_journal_of_another_version_is_set_aside(path: Path) -> None:
    Journal(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    journal = Journal(path)
    assert journal.quarantined is not None
    journal.close()


def test_the_phases_of_an_apply_are_remembered(path: Path) -> None:
    journal = Journal(path)
    for phase in ("fetch", "switch"):
        journal.record_phase(ApplyEntry("a", "rev", "rev", "old", phase))
    journal.record_phase(ApplyEntry("b", "rev2", "rev2", "rev", "test"))
    journal = reopen(journal, path)
    assert journal.last_apply() == ApplyEntry("b", "rev2", "rev2", "rev", "test")
    assert journal.last_apply("a") == ApplyEntry("a", "rev", "rev", "old", "switch")
    assert journal.last_apply("none") is None
    journal.close()


def test_only_this_user_can_read_it(path: Path) -> None:
    Journal(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


# The tables of version 1, as the first release wrote them.
_VERSION_1 = """
CREATE TABLE command (
    id TEXT PRIMARY KEY, seq INTEGER NOT NULL, kind TEXT NOT NULL, payload_hash TEXT NOT NULL, payload BLOB,
    state TEXT NOT NULL, accepted_at REAL NOT NULL, accepted_ticks REAL NOT NULL, kernel_boot TEXT NOT NULL,
    result BLOB, last_seq INTEGER NOT NULL DEFAULT 0, stored_seq INTEGER NOT NULL DEFAULT 0,
    final_stored INTEGER NOT NULL DEFAULT 0);
CREATE INDEX command_open ON command (final_stored, seq);
CREATE TABLE line (
    command_id TEXT NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL, stage TEXT NOT NULL, level TEXT NOT NULL,
    text TEXT NOT NULL, PRIMARY KEY (command_id, seq)) WITHOUT ROWID;
CREATE TABLE apply (
    command_id TEXT PRIMARY KEY, revision TEXT NOT NULL, release TEXT NOT NULL, previous TEXT NOT NULL,
    phase TEXT NOT NULL, updated_at REAL NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO command VALUES ('a', 7, 'reload', 'hash', x'01', 'accepted', 0, 0, '', NULL, 1, 0, 0);
INSERT INTO command VALUES ('b', 8, 'reload', 'hash', NULL, 'finished', 0, 0, '', x'02', 0, 0, 1);
INSERT INTO line VALUES ('a', 1, 0, '', 'info', 'one');
INSERT INTO apply VALUES ('a', 'rev', 'rev', 'old', 'switch', 0);
INSERT INTO meta VALUES ('key', 'value');
PRAGMA user_version = 1;
"""


def test_a_journal_of_the_first_release_is_brought_up_to_date_with_all_that_it_holds(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.executescript(_VERSION_1)
    db.close()
    journal = Journal(path)
    assert journal.quarantined is None
    (entry,) = journal.open_commands()
    assert (entry.command_id, entry.payload, entry.origin) == ("a", b"\x01", Origin.PANEL)
    assert [line[4] for line in journal.lines_after("a", 0, 10)] == ["one"]
    assert journal.accept("b", 8, "reload", "hash", b"") is Verdict.DUPLICATE
    assert journal.last_apply() == ApplyEntry("a", "rev", "rev", "old", "switch")
    assert journal.read("key") == "value"
    assert journal.last_command_seq() == 8
    journal.begin_own("own", "renew_certificate", b"payload")
    journal = reopen(journal, path)
    assert {entry.command_id: entry.origin for entry in journal.open_commands()} == {
        "a": Origin.PANEL,
        "own": Origin.HERE,
    }
    journal.close()


def test_what_the_agent_began_itself_says_what_it_was_until_the_panel_has_it(path: Path) -> None:
    journal = Journal(path)
    journal.accept("a", 9, "reload", "hash", b"payload")
    journal.begin_own("own", "renew_certificate", b"payload")
    for command_id in ("a", "own"):
        journal.finish(command_id, b"result")
    assert {entry.command_id: entry.payload for entry in journal.open_commands()} == {"a": b"", "own": b"payload"}
    assert journal.last_command_seq() == 9
    journal.close()


def test_what_is_given_up_before_it_begins_leaves_nothing_of_what_it_brought(path: Path) -> None:
    journal = Journal(path)
    for command_id in ("waits", "runs"):
        journal.accept(command_id, 1, "install_certificate", "hash", b"a private key")
    journal.start("runs")
    journal.forget("waits")
    journal.forget("runs")
    waits, runs = journal.get("waits"), journal.get("runs")
    assert waits is not None
    assert (waits.payload, waits.final_stored) == (b"", True)
    assert runs is not None
    assert runs.payload == b"a private key"  # until its end
    assert journal.accept("waits", 1, "install_certificate", "hash", b"a private key") is Verdict.DUPLICATE
    journal.close()


def test_there_is_always_room_for_what_the_agent_begins_itself(path: Path) -> None:
    journal = Journal(path)
    for number in range(MAX_OWN + 2):
        journal.begin_own(f"own-{number}", "renew_certificate", b"payload")
        journal.append_lines(f"own-{number}", [(1, 0.0, "", "info", "one")])
        if number != 1:
            journal.finish(f"own-{number}", b"result")
    assert journal.get("own-0") is None
    assert journal.lines_after("own-0", 0, 10) == []
    assert journal.get("own-1") is not None  # it has not ended
    assert journal.get("own-2") is None
    assert len(journal.open_commands()) == MAX_OWN
    assert journal.accept("a", 1, "reload", "hash", b"payload") is Verdict.ACCEPTED
    journal.close()
