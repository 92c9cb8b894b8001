"""Opens a SQLite file so that what was committed is on disk, brings an older one up to date, sets a damaged one aside.
May import: the standard library only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Schema:
    """The tables of a new file, their version, and what leads from each older version to the next."""

    version: int
    tables: str
    upgrades: Mapping[int, str] = field(default_factory=dict)


def open_database(path: Path, schema: Schema) -> tuple[sqlite3.Connection, Path | None]:
    """The file, WAL and synchronous=FULL, 0600; and where a damaged one was put that was found in its place. Raises
    sqlite3.OperationalError for a full disk or a wrong owner: then the file is not damaged, and it is not ours to
    move."""
    try:
        return _open(path, schema), None
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        aside = _set_aside(path)
        return _open(path, schema), aside


def _open(path: Path, schema: Schema) -> sqlite3.Connection:
    """Raises sqlite3.DatabaseError when the file is not one of this or an older version."""
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
    try:
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")  # keys that were dropped do not stay in free pages
        _check(db, schema)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, schema: Schema) -> None:
    """Makes the tables of a new file, and brings an older one up to date with all that it holds."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    while version in schema.upgrades:
        db.executescript(f"BEGIN; {schema.upgrades[version]} PRAGMA user_version = {version + 1}; COMMIT;")
        version += 1
    if version == 0:
        db.executescript(f"BEGIN; {schema.tables} PRAGMA user_version = {schema.version}; COMMIT;")
    elif version != schema.version:
        raise sqlite3.DatabaseError(f"a file of version {version}")
    if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("quick_check found damage")


def _set_aside(path: Path) -> Path:
    target = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(target.with_name(target.name + suffix))
    return target
