"""Looks after all streams of this process at once, so that an agent that is idle costs next to nothing.
May import: panel.services, panel.extensions."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from panel.extensions import stopping, transaction, wakeups
from panel.models.types import utcnow
from panel.services import sessions

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0  # seconds


class Session(Protocol):
    """What is looked at of a stream."""

    agent_id: str
    epoch: int
    serial: str

    def is_overdue(self, now: float) -> bool:
        """Whether the agent owes an answer or a heartbeat. `now` is time.monotonic()."""

    def take_sign_of_life(self) -> datetime | None:
        """When its last heartbeat came, if that is not stored yet."""


def run(app: Flask, read: Callable[[], Iterable[Session]]) -> None:
    """Looks every two seconds until the panel stops. What the database does not answer is asked the next time."""
    while not stopping.wait(LOOK_EVERY):
        try:
            look(app, list(read()))
        except SQLAlchemyError:
            log.exception("the streams could not be looked after")


def look(app: Flask, streams: list[Session]) -> None:
    """Stores who is alive, and wakes each stream that has something to send or to end.

    The stream itself looks closer and decides: whatever changes the database without waking it is noticed here.
    """
    seen = [(stream, at) for stream in streams if (at := stream.take_sign_of_life()) is not None]
    with app.app_context():
        if seen:
            with transaction():
                sessions.seen_many([(stream.agent_id, stream.epoch, at) for stream, at in seen])
        standing = sessions.read_standing(utcnow()) if streams else None
    now = time.monotonic()
    for stream in streams:
        is_calm = standing is not None and standing.is_calm(stream.agent_id, stream.epoch, stream.serial)
        if not is_calm or stream.is_overdue(now):
            wakeups.wake(f"agent:{stream.agent_id}")
