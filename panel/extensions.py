"""The Flask extensions, the one transaction and the wake-ups between doors; knows no model.
May import: Flask's extensions, gevent, panel.metrics."""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import gevent
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from gevent.event import Event
from gevent.lock import RLock
from sqlalchemy import MetaData, event, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase

from panel import metrics


class Base(DeclarativeBase):
    """Declarative base whose constraints have names, so that migrations can alter them on SQLite too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base)
if TYPE_CHECKING:
    Model = Base  # a class made at run time has no type
else:
    Model = db.Model
login_manager = LoginManager()
csrf = CSRFProtect()

# SQLite's busy handler sleeps inside C and would stop every greenlet, so writers queue here instead.
_write_lock = RLock()
BUSY_TIMEOUT = 5000  # milliseconds
LOCKED_WITHIN = 5.0  # seconds that a transaction waits for another program
TRANSACTION_LOCK = 0x5761_7970  # any number, the same in every process
NEWS_CHANNEL = "waypost"
PROCESS = uuid4().hex  # so that a process does not hear itself


@event.listens_for(Engine, "connect")
def _configure_sqlite(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")
        cursor.close()


@contextmanager
def transaction() -> Iterator[None]:
    """Commits on leaving, rolls back on any exception, then wakes who waits for what changed.

    Opened by doors only, one per request or stream message. Nothing may be awaited inside it.
    """
    asked_at = time.perf_counter()
    with _write_lock:
        began_at = time.perf_counter()
        # What was read before the lock may be old by now; whoever decides in here decides on what is true.
        db.session.expire_all()
        db.session.info.pop("events", None)
        try:
            _begin()
            yield
            topics: set[str] = db.session.info.pop("topics", set())
            actions: dict[str, Callable[[], object]] = db.session.info.pop("actions", {})
            _notify(topics)
            db.session.commit()
        except BaseException:
            db.session.info.pop("topics", None)
            db.session.info.pop("actions", None)
            db.session.rollback()
            raise
        finally:
            metrics.lock_wait.observe(began_at - asked_at)
            metrics.transaction_time.observe(time.perf_counter() - began_at)
    for topic in topics:
        wakeups.wake(topic)
    for action in actions.values():
        action()


def _begin() -> None:
    """One transaction at a time, also among processes: whoever decides in one decides on what is true.

    SQLite begins here and not at the first write: a savepoint before that would commit by itself. Another program that
    holds the file is waited for among the greenlets; the busy handler would stop them all. PostgreSQL has a lock that
    ends with the transaction.
    """
    connection = db.session.connection()
    if is_postgresql():
        connection.execute(select(func.pg_advisory_xact_lock(TRANSACTION_LOCK)))
        return
    raw: object = connection.connection.dbapi_connection
    if not isinstance(raw, sqlite3.Connection) or raw.in_transaction:
        return
    deadline = time.monotonic() + LOCKED_WITHIN
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while not raw.in_transaction:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError:
                if time.monotonic() > deadline:
                    raise
                gevent.sleep(0.02)
    finally:
        raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")


def is_postgresql() -> bool:
    """Whether the database is PostgreSQL, which may be shared by several processes."""
    return db.engine.dialect.name == "postgresql"


def _notify(topics: set[str]) -> None:
    """Tells the other processes; PostgreSQL passes it on when, and only if, the transaction commits."""
    if topics and is_postgresql():
        for topic in topics:
            db.session.execute(select(func.pg_notify(NEWS_CHANNEL, f"{PROCESS}:{topic}")))


def wake_after_commit(topic: str) -> None:
    """Asks the surrounding transaction() to wake `topic` once its changes are visible."""
    db.session.info.setdefault("topics", set()).add(topic)


def after_commit(key: str, action: Callable[[], object]) -> None:
    """Asks the surrounding transaction() to call `action`, which must not fail, once its changes are visible.

    Of several actions with one key only the last is called.
    """
    db.session.info.setdefault("actions", {})[key] = action


class Wakeups:
    """Who waits for which topic. The database is the truth: a waiter always re-reads it, and has a time-out."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[Event]] = defaultdict(set)
        # Wakes are numbered; those of a later process have higher numbers.
        self.number = self._knows_from = time.time_ns() // 1_000_000
        self._last: dict[str, int] = {}

    def wake(self, topic: str) -> None:
        """Wakes all who wait for `topic` now or have subscribed and not looked yet."""
        self.number += 1
        if ":" not in topic:  # those of single objects are too many to remember
            self._last[topic] = self.number
        for waiter in tuple(self._waiting.get(topic, ())):
            waiter.set()

    def wake_all(self) -> None:
        """Wakes everybody: news may have been missed."""
        self._knows_from = self.number + 1
        for topic in tuple(self._waiting):
            self.wake(topic)

    def has_woken(self, topics: Iterable[str], since: int) -> bool:
        """Whether one of the topics was, or may have been, woken after the wake of this number."""
        is_known = self._knows_from <= since <= self.number
        return not is_known or any(self._last.get(topic, 0) > since for topic in topics)

    @contextmanager
    def subscribe(self, *topics: str) -> Iterator[Event]:
        """An Event that is set by each wake of one of the topics. Clear it before reading the database."""
        waiter = Event()
        for topic in topics:
            self._waiting[topic].add(waiter)
        try:
            yield waiter
        finally:
            for topic in topics:
                self._waiting[topic].discard(waiter)
                if not self._waiting[topic]:
                    del self._waiting[topic]


wakeups = Wakeups()


@dataclass
class Vitals:
    """What this process knows of itself and keeps nowhere: whether its servers stand and its clock runs."""

    started_at: datetime | None = None
    is_stream_listening: bool = False
    clock_ticked_at: datetime | None = None
    # The worst delay of the last half minute, in seconds: something kept the whole process busy for so long.
    hub_lag: float = 0.0
    # Agents that were connected when the panel stopped; they get time to come back before they count as away.
    awaited_agents: frozenset[str] = frozenset()


vitals = Vitals()

# Set when the process ends, so that whoever holds a connection open lets go of it.
stopping = Event()
