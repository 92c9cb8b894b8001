"""The agent's memory of certificates across restarts: what to renew, how far an order came, when to act (SQLite).
May import: agent.database, agent.acme.state."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.acme.state import Memory, read_memory, write_memory
from agent.database import Schema, open_database

_log = logging.getLogger(__name__)

# Longer than any limit of an authority looks back (Let's Encrypt: 7 days).
KEEP_ISSUES = timedelta(days=30)

_TABLES = """
CREATE TABLE certificate (name TEXT PRIMARY KEY, memory TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE issue (directory_url TEXT NOT NULL, names TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX issue_at ON issue (directory_url, at);
CREATE TABLE refusal (directory_url TEXT NOT NULL, names TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX refusal_at ON refusal (directory_url, at);
"""
_SCHEMA = Schema(1, _TABLES)


class Store:
    """One SQLite file that only this user can read, for it holds the values of DNS credentials and keys of orders.
    What a method returned from is on disk. Thread-safe. Methods raise sqlite3.Error when the disk is full."""

    def __init__(self, folder: Path) -> None:
        """Opens or makes the file. A damaged one is set aside; see `quarantined`."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        self._lock = threading.RLock()
        self._db, self.quarantined = open_database(folder / "certificates.sqlite3", _SCHEMA)

    def close(self) -> None:
        """Ends the connection; other methods must not be called after it."""
        with self._lock:
            self._db.close()

    def get(self, name: str) -> Memory | None:
        """What is known of one certificate; None when it is nothing."""
        with self._lock:
            row = self._db.execute("SELECT memory FROM certificate WHERE name = ?", (name,)).fetchone()
        return _read(name, row[0]) if row else None

    def all(self) -> list[Memory]:
        """Of every certificate, by name."""
        with self._lock:
            rows = self._db.execute("SELECT name, memory FROM certificate ORDER BY name").fetchall()
        return [memory for name, text in rows if (memory := _read(name, text))]

    def put(self, memory: Memory) -> None:
        """Stores all of one certificate."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO certificate VALUES (?, ?)", (memory.name, write_memory(memory)))

    def update(self, name: str, **changes: Any) -> Memory:
        """Changes some fields of what is known; what is unknown begins empty."""
        with self._lock:
            memory = replace(self.get(name) or Memory(name), **changes)
            self.put(memory)
        return memory

    def amend(self, name: str, **changes: Any) -> None:
        """The same, of what is known only: for those who do not have the certificate to themselves."""
        with self._lock:
            if self.get(name) is not None:
                self.update(name, **changes)

    def forget(self, name: str) -> None:
        """Drops all of one certificate."""
        with self._transaction() as db:
            db.execute("DELETE FROM certificate WHERE name = ?", (name,))

    def record_issue(self, directory_url: str, names: Sequence[str], at: datetime) -> None:
        """Notes that an authority issued a certificate, for the count against its limits."""
        self._record("INSERT INTO issue VALUES (?, ?, ?)", "DELETE FROM issue WHERE at < ?", directory_url, names, at)

    def record_refusal(self, directory_url: str, names: Sequence[str], at: datetime) -> None:
        """Notes that the validation of these names failed."""
        insert, delete = "INSERT INTO refusal VALUES (?, ?, ?)", "DELETE FROM refusal WHERE at < ?"
        self._record(insert, delete, directory_url, names, at)

    def issues_since(self, directory_url: str, moment: datetime) -> list[tuple[tuple[str, ...], datetime]]:
        """Names and time of what an authority issued to this agent since then, oldest first."""
        query = "SELECT names, at FROM issue WHERE directory_url = ? AND at >= ? ORDER BY at"
        return self._since(query, directory_url, moment)

    def refusals_since(self, directory_url: str, moment: datetime) -> list[tuple[tuple[str, ...], datetime]]:
        """Names and time of validations that failed since then, oldest first."""
        query = "SELECT names, at FROM refusal WHERE directory_url = ? AND at >= ? ORDER BY at"
        return self._since(query, directory_url, moment)

    def _record(self, insert: str, delete: str, directory_url: str, names: Sequence[str], at: datetime) -> None:
        with self._transaction() as db:
            db.execute(insert, (directory_url, json.dumps(sorted(names)), at.timestamp()))
            db.execute(delete, ((at - KEEP_ISSUES).timestamp(),))

    def _since(self, query: str, directory_url: str, moment: datetime) -> list[tuple[tuple[str, ...], datetime]]:
        with self._lock:
            rows = self._db.execute(query, (directory_url, moment.timestamp())).fetchall()
        return [(tuple(json.loads(names)), datetime.fromtimestamp(at, UTC)) for names, at in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db


def _read(name: str, text: str) -> Memory | None:
    try:
        return read_memory(text)
    except (ValueError, KeyError, TypeError):
        _log.exception("what was remembered of certificate %s cannot be read; it is not renewed by itself", name)
        return None
