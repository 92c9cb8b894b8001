"""What was accepted and how it ended: the agent's memory across crashes, restarts and lost connections (SQLite).
May import: agent.database."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.database import Schema, open_database

KEEP_SECONDS = 7 * 86_400
MAX_OPEN = 1000
# Of what the agent began by itself while the panel is away; older ones that have ended make room.
MAX_OWN = 300

_TABLES = """
CREATE TABLE command (
    id TEXT PRIMARY KEY, seq INTEGER NOT NULL, kind TEXT NOT NULL, payload_hash TEXT NOT NULL, payload BLOB,
    state TEXT NOT NULL, accepted_at REAL NOT NULL, accepted_ticks REAL NOT NULL, kernel_boot TEXT NOT NULL,
    result BLOB, last_seq INTEGER NOT NULL DEFAULT 0, stored_seq INTEGER NOT NULL DEFAULT 0,
    final_stored INTEGER NOT NULL DEFAULT 0, origin TEXT NOT NULL DEFAULT '');
CREATE INDEX command_open ON command (final_stored, seq);
CREATE TABLE line (
    command_id TEXT NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL, stage TEXT NOT NULL, level TEXT NOT NULL,
    text TEXT NOT NULL, PRIMARY KEY (command_id, seq)) WITHOUT ROWID;
CREATE TABLE apply (
    command_id TEXT PRIMARY KEY, revision TEXT NOT NULL, release TEXT NOT NULL, previous TEXT NOT NULL,
    phase TEXT NOT NULL, updated_at REAL NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_SCHEMA = Schema(2, _TABLES, {1: "ALTER TABLE command ADD COLUMN origin TEXT NOT NULL DEFAULT '';"})


class State(StrEnum):
    """Where a journalled command stands."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    FINISHED = "finished"


class Origin(StrEnum):
    """Who began a command."""

    PANEL = ""
    HERE = "here"


class Verdict(StrEnum):
    """What the journal says to a command that arrived."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    FULL = "full"


@dataclass(frozen=True)
class Entry:
    """One command as journalled. `age` is seconds since it was accepted; `accepted_at` is by the wall clock."""

    command_id: str
    seq: int
    kind: str
    payload: bytes
    state: State
    age: float
    result: bytes | None
    last_seq: int
    stored_seq: int
    final_stored: bool
    origin: Origin
    accepted_at: float


@dataclass(frozen=True)
class ApplyEntry:
    """How far an apply came. `release` and `previous` are names of release folders; `previous` may be empty."""

    command_id: str
    revision: str
    release: str
    previous: str
    phase: str


class Journal:
    """One SQLite file, WAL, synchronous=FULL: what a method returned from is on disk. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. A damaged one is set aside as `*.corrupt-<time>`; see `quarantined`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db, self.quarantined = open_database(path, _SCHEMA)

    def close(self) -> None:
        """Ends the connection; other methods must not be called after it."""
        with self._lock:
            self._db.close()

    def accept(self, command_id: str, seq: int, kind: str, payload_hash: str, payload: bytes) -> Verdict:
        """Takes a command in, once. The same id with another payload is a CONFLICT and nothing is stored."""
        with self._transaction() as db:
            known = db.execute("SELECT payload_hash FROM command WHERE id = ?", (command_id,)).fetchone()
            if known:
                return Verdict.DUPLICATE if known[0] == payload_hash else Verdict.CONFLICT
            if _count_open(db, Origin.PANEL) >= MAX_OPEN:
                return Verdict.FULL
            db.execute(
                "INSERT INTO command (id, seq, kind, payload_hash, payload, state, accepted_at, accepted_ticks,"
                " kernel_boot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (command_id, seq, kind, payload_hash, payload, State.ACCEPTED, *_now()),
            )
        return Verdict.ACCEPTED

    def begin_own(self, command_id: str, kind: str, payload: bytes) -> None:
        """Takes in a command that the agent begins by itself. With the panel away for weeks the oldest ones that have
        ended are dropped, so that there is always room."""
        with self._transaction() as db:
            surplus = _count_open(db, Origin.HERE) - MAX_OWN + 1
            db.execute(
                "DELETE FROM command WHERE id IN (SELECT id FROM command WHERE origin = 'here' AND state = 'finished'"
                " AND final_stored = 0 ORDER BY accepted_at LIMIT ?)",
                (max(0, surplus),),
            )
            db.execute("DELETE FROM line WHERE ? > 0 AND command_id NOT IN (SELECT id FROM command)", (surplus,))
            db.execute(
                "INSERT INTO command (id, seq, kind, payload_hash, payload, state, accepted_at, accepted_ticks,"
                " kernel_boot, origin) VALUES (?, 0, ?, '', ?, ?, ?, ?, ?, ?)",
                (command_id, kind, payload, State.ACCEPTED, *_now(), Origin.HERE),
            )

    def start(self, command_id: str) -> None:
        """Marks a command as running, before it does anything."""
        with self._transaction() as db:
            db.execute("UPDATE command SET state = ? WHERE id = ?", (State.RUNNING, command_id))

    def finish(self, command_id: str, result: bytes) -> None:
        """Stores the result. The first one wins. What the agent began itself keeps its payload: the panel must be told
        what it was."""
        with self._transaction() as db:
            db.execute(
                "UPDATE command SET state = ?, result = ?, payload = CASE origin WHEN 'here' THEN payload END"
                " WHERE id = ? AND state != ?",
                (State.FINISHED, result, command_id, State.FINISHED),
            )

    def append_lines(self, command_id: str, lines: Sequence[tuple[int, float, str, str, str]]) -> None:
        """Stores output lines (seq, at, stage, level, text)."""
        if not lines:
            return
        with self._transaction() as db:
            db.executemany("INSERT OR IGNORE INTO line VALUES (?, ?, ?, ?, ?, ?)", [(command_id, *x) for x in lines])
            db.execute("UPDATE command SET last_seq = max(last_seq, ?) WHERE id = ?", (lines[-1][0], command_id))

    def lines_after(self, command_id: str, seq: int, limit: int) -> list[tuple[int, float, str, str, str]]:
        """Up to `limit` lines with a greater number, in order."""
        with self._lock:
            return self._db.execute(
                "SELECT seq, at, stage, level, text FROM line WHERE command_id = ? AND seq > ? ORDER BY seq LIMIT ?",
                (command_id, seq, limit),
            ).fetchall()

    def get(self, command_id: str) -> Entry | None:
        """The command, or None when it is unknown or forgotten."""
        with self._lock:
            row = self._db.execute(f"{_SELECT} WHERE id = ?", (command_id,)).fetchone()
        return _entry(row) if row else None

    def open_commands(self) -> list[Entry]:
        """Everything whose result the panel has not confirmed, in the panel's order."""
        with self._lock:
            rows = self._db.execute(f"{_SELECT} WHERE final_stored = 0 ORDER BY seq, accepted_at").fetchall()
        return [_entry(row) for row in rows]

    def interrupted(self) -> list[Entry]:
        """What was running when the journal was closed, also what the panel has given up, in the panel's order."""
        with self._lock:
            rows = self._db.execute(f"{_SELECT} WHERE state = ? ORDER BY seq", (State.RUNNING,)).fetchall()
        return [_entry(row) for row in rows]

    def last_command_seq(self) -> int:
        """The highest number of a command that was ever accepted; 0 for a journal that has seen none."""
        with self._lock:
            (seq,) = self._db.execute("SELECT max(seq) FROM command").fetchone()
        return int(seq or 0)

    def confirm(self, command_id: str, output_seq: int, final_stored: bool) -> None:
        """The panel has stored this much: its lines go; id, hash and result stay for the days of deduplication."""
        with self._transaction() as db:
            db.execute("DELETE FROM line WHERE command_id = ? AND seq <= ?", (command_id, output_seq))
            db.execute(
                "UPDATE command SET stored_seq = max(stored_seq, ?), final_stored = max(final_stored, ? AND state = ?)"
                " WHERE id = ?",
                (output_seq, final_stored, State.FINISHED, command_id),
            )

    def forget(self, command_id: str) -> None:
        """The panel has given this command up: nothing of it is replayed. A running one goes on to its end; one that
        never begins keeps nothing of what it brought, which may be a key."""
        with self._transaction() as db:
            db.execute(
                "UPDATE command SET final_stored = 1, stored_seq = last_seq,"
                " payload = CASE state WHEN 'accepted' THEN NULL ELSE payload END WHERE id = ?",
                (command_id,),
            )
            db.execute("DELETE FROM line WHERE command_id = ?", (command_id,))

    def prune(self) -> None:
        """Drops what is settled and older than seven days, save the newest command: it tells how far things went."""
        with self._transaction() as db:
            old = (time.time() - KEEP_SECONDS,)
            db.execute(
                "DELETE FROM command WHERE final_stored = 1 AND accepted_at < ? AND state != 'running'"
                " AND (origin = 'here' OR seq < (SELECT max(seq) FROM command))",
                old,
            )
            db.execute("DELETE FROM line WHERE command_id NOT IN (SELECT id FROM command)")
            db.execute("DELETE FROM apply WHERE updated_at < ?", old)

    def record_phase(self, entry: ApplyEntry) -> None:
        """Writes an apply's next phase down, before it acts."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO apply VALUES (?, ?, ?, ?, ?, ?)",
                (entry.command_id, entry.revision, entry.release, entry.previous, entry.phase, time.time()),
            )

    def last_apply(self, command_id: str = "") -> ApplyEntry | None:
        """The newest apply, or that of one command."""
        with self._lock:
            row = self._db.execute(
                "SELECT command_id, revision, release, previous, phase FROM apply WHERE command_id = ? OR ? = ''"
                " ORDER BY rowid DESC LIMIT 1",
                (command_id, command_id),
            ).fetchone()
        return ApplyEntry(*row) if row else None

    def read(self, key: str) -> str:
        """A remembered value, empty when there is none."""
        with self._lock:
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def write(self, key: str, value: str) -> None:
        """Remembers a value."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db


_SELECT = (
    "SELECT id, seq, kind, payload, state, accepted_at, accepted_ticks, kernel_boot, result, last_seq, stored_seq,"
    " final_stored, origin FROM command"
)
_Row = tuple[str, int, str, bytes | None, str, float, float, str, bytes | None, int, int, int, str]


def _entry(row: _Row) -> Entry:
    now, ticks, boot = _now()
    # The monotonic clock survives a restart of the agent but not of the machine; a changed wall clock survives neither.
    age = ticks - row[6] if row[7] == boot else max(0.0, now - row[5])
    return Entry(
        command_id=row[0],
        seq=row[1],
        kind=row[2],
        payload=row[3] or b"",
        state=State(row[4]),
        age=age,
        result=row[8],
        last_seq=row[9],
        stored_seq=row[10],
        final_stored=bool(row[11]),
        origin=Origin(row[12]),
        accepted_at=row[5],
    )


def _count_open(db: sqlite3.Connection, origin: Origin) -> int:
    query = "SELECT count(*) FROM command WHERE final_stored = 0 AND origin = ?"
    return int(db.execute(query, (origin,)).fetchone()[0])


def _now() -> tuple[float, float, str]:
    """Wall clock, monotonic clock, and which boot of the machine the latter belongs to."""
    return time.time(), time.monotonic(), Path("/proc/sys/kernel/random/boot_id").read_text().strip()
