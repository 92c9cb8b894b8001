"""News between processes that share a PostgreSQL: what one commits wakes who waits in the others (LISTEN/NOTIFY).
May import: panel.extensions, psycopg."""

from __future__ import annotations

import logging

from flask import Flask

from panel.extensions import NEWS_CHANNEL, PROCESS, db, is_postgresql, stopping, wakeups

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds between looks at whether the process stops
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0  # seconds, while the database is away


def listen(app: Flask) -> None:
    """Passes news on until the process stops; returns at once when nobody shares the database. A lost connection is
    made again, and everybody is woken then: the database is the truth, and each waiter reads it."""
    with app.app_context():
        if not is_postgresql():
            return
        from psycopg import OperationalError  # noqa: PLC0415 - memory that a panel on SQLite does not need

        url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    pause = FIRST_PAUSE
    while not stopping.is_set():
        try:
            _follow(url)
            pause = FIRST_PAUSE
        except OperationalError as error:
            log.warning("news of other processes cannot be heard, trying again: %s", error)
            pause = min(2 * pause, LONGEST_PAUSE)
        stopping.wait(pause)


def _follow(url: str) -> None:
    from psycopg import connect  # noqa: PLC0415 - the same

    with connect(url, autocommit=True) as connection:
        connection.execute(f"LISTEN {NEWS_CHANNEL}")
        wakeups.wake_all()
        while not stopping.is_set():
            for notify in connection.notifies(timeout=LOOK_EVERY):
                process, _, topic = notify.payload.partition(":")
                if process != PROCESS:
                    wakeups.wake(topic)
