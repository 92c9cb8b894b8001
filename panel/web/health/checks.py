"""Is the panel well: each part says "ok" or, in words, what is wrong with it.
May import: panel.config, panel.extensions, panel.models."""

from __future__ import annotations

import logging
import shutil
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from panel.config import Config
from panel.extensions import db, vitals
from panel.i18n import mark
from panel.models.types import utcnow

log = logging.getLogger(__name__)

OK = "ok"
CLOCK_LIMIT = timedelta(seconds=15)
HUB_LIMIT = 5.0  # seconds
DISK_LIMIT = 64  # MiB: less cannot take the next days' output and a backup of the database


def check_all(config: Config) -> dict[str, str]:
    """Part to words."""
    return {
        "database": _database(),
        "stream_server": OK if vitals.is_stream_listening else mark("not listening for agents"),
        "clock": _clock(),
        "hub": _hub(),
        "disk": _disk(config),
    }


def _database() -> str:
    try:
        db.session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        log.warning("the database does not answer: %s", error)
        return mark("does not answer")
    return OK


def _clock() -> str:
    if vitals.clock_ticked_at is None:
        return mark("has not started")
    silence = utcnow() - vitals.clock_ticked_at
    return OK if silence <= CLOCK_LIMIT else f"stands still for {silence.total_seconds():.0f} s"


def _hub() -> str:
    lag = vitals.hub_lag
    return OK if lag <= HUB_LIMIT else f"something kept the whole panel waiting for {lag:.1f} s in the last half minute"


def _disk(config: Config) -> str:
    try:
        free = shutil.disk_usage(config.state_dir).free >> 20
    except OSError as error:
        return f"the state folder cannot be read ({error.strerror})"
    return (
        OK if free >= DISK_LIMIT else f"only {free} MiB are free for the state folder; when it is full nothing is saved"
    )
