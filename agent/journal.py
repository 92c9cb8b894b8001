"""What was accepted and how it ended: the agent's memory across crashes, restarts and lost connections (SQLite).
May import: the standard library only."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

SCHEMA_VERSION = 1
KEEP_SECONDS = 7 * 86_400
MAX_OPEN = 1000

_SCHEMA = """
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
"""


class State(StrEnum):
    """Where a journalled command stands."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    FINISHED = "finished"


class Verdict(StrEnum):
    """What the journal says to a command that arrived."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    FULL = "full"


@dataclass(frozen=True)
class Entry:
    """One command as journalled. `age` is seconds since it was accepted."""

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
        self.quarantined: Path | None = None
        self._lock = threading.RLock()
        try:
            self._db = _open(path)
        except sqlite3.OperationalError:
            raise  # a full disk or a wrong owner: the file is not damaged, and it is not ours to move
        except sqlite3.DatabaseError:
            self.quarantined = _set_aside(path)
            self._db = _open(path)

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
            (open_count,) = db.execute("SELECT count(*) FROM command WHERE final_stored = 0").fetchone()
            if open_count >= MAX_OPEN:
                return Verdict.FULL
            db.execute(
                "INSERT INTO command (id, seq, kind, payload_hash, payload, state, accepted_at, accepted_ticks,"
                " kernel_boot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (command_id, seq, kind, payload_hash, payload, State.ACCEPTED, *_now()),
            )
        return Verdict.ACCEPTED

    def start(self, command_id: str) -> None:
        """Marks a command as running, before it does anything."""
        with self._transaction() as db:
            db.execute("UPDATE command SET state = ? WHERE id = ?", (State.RUNNING, command_id))

    def finish(self, command_id: str, result: bytes) -> None:
        """Stores the result. The first one wins."""
        with self._transaction() as db:
            db.execute(
                "UPDATE command SET state = ?, result = ?, payload = NULL WHERE id = ? AND state != ?",
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
        """The panel has given this command up: nothing of it is replayed. A running one goes on to its end."""
        with self._transaction() as db:
            db.execute("UPDATE command SET final_stored = 1, stored_seq = last_seq WHERE id = ?", (command_id,))
            db.execute("DELETE FROM line WHERE command_id = ?", (command_id,))

    def prune(self) -> None:
        """Drops what is settled and older than seven days, save the newest command: it tells how far things went."""
        with self._transaction() as db:
            old = (time.time() - KEEP_SECONDS,)
            db.execute(
                "DELETE FROM command WHERE final_stored = 1 AND accepted_at < ? AND state != 'running'"
                " AND seq < (SELECT max(seq) FROM command)",
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
    " final_stored FROM command"
)


def _entry(row: tuple[str, int, str, bytes | None, str, float, float, str, bytes | None, int, int, int]) -> Entry:
    now, ticks, boot = _now()
    # The monotonic clock survives a restart of the agent but not of the machine; a changed wall clock survives neither.
    age = ticks - row[6] if row[7] == boot else max(0.0, now - row[5])
    return Entry(row[0], row[1], row[2], row[3] or b"", State(row[4]), age, row[8], row[9], row[10], bool(row[11]))


def _now() -> tuple[float, float, str]:
    """Wall clock, monotonic clock, and which boot of the machine the latter belongs to."""
    return time.time(), time.monotonic(), Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _open(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.DatabaseError when the file is not a journal of this version."""
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
    try:
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        _check(db)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection) -> None:
    """Makes the tables of a new file; refuses a damaged one and one of another version."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:
        db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    elif version != SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"journal of version {version}")
    if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("quick_check found damage")


def _set_aside(path: Path) -> Path:
    target = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(target.with_name(target.name + suffix))
    return target
