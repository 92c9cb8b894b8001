"""Logging in: counted before the password is looked at, so that guesses in parallel gain nothing.
May import: panel.services.{accounts,events}, panel.models, panel.extensions, panel.errors."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from sqlalchemy import delete

from panel.errors import Throttled
from panel.extensions import db
from panel.i18n import gettext as _
from panel.i18n import ngettext
from panel.models import LoginThrottle, User
from panel.models.types import utcnow
from panel.services import accounts, events

FREE_FAILURES = 5  # of one account from one place
FREE_FAILURES_OF_ADDRESS = 30  # over all accounts; an office shares an address
MAX_WAIT = timedelta(minutes=5)
MEMORY = timedelta(hours=1)  # after which failures are forgotten


@dataclass(frozen=True)
class Place:
    """Where an attempt comes from. `device` is the id of a device cookie that this account has earned, or ""."""

    address: str
    device: str = ""


@dataclass(frozen=True)
class Attempt:
    """One counted attempt; `password_hash` is None when there is no such person or they are disabled."""

    user_id: int | None
    password_hash: str | None
    keys: tuple[str, ...]


def begin(username: str, place: Place) -> Attempt:
    """Counts an attempt as failed until it is finished. Raises Throttled with the time to wait.

    A known device is counted by itself and nowhere else: strangers cannot lock the real person out of it.
    """
    account = username.strip().lower()
    keys = _keys(account, place)
    _count_all(keys)
    user = accounts.find(account)
    if user is None or not user.is_active or not user.has_password:
        return Attempt(None, None, keys)
    return Attempt(user.id, user.password_hash, keys)


def finish(attempt: Attempt, is_right: bool) -> User | None:
    """The person when the password was right, whose failures are then forgotten; else None."""
    user = db.session.get(User, attempt.user_id) if attempt.user_id is not None and is_right else None
    if user is None or not user.is_active or user.password_hash != attempt.password_hash:
        _record_failure(attempt)
        return None
    own, *shared = attempt.keys
    db.session.execute(delete(LoginThrottle).where(LoginThrottle.key == own))
    for key in shared:
        _forgive(key)
    return user


def begin_code(user: User, place: Place) -> tuple[str, ...]:
    """Counts an attempt at the second step as failed until `finish_code`. Raises Throttled.

    Strangers are counted per person and not per place: a million codes are soon tried from many places. Whoever
    gets here has the password, and a device that the person used before is counted by itself all the same.
    """
    own = ("code-device", place.device) if place.device else ("code",)
    keys = (_key(*own, user.username),)
    _count_all(keys)
    return keys


def refuse_code(user: User) -> None:
    """The code was wrong: whoever tries has the password, so the audit log tells."""
    events.record(None, "user", "code-failed", user.id, user.username)


def finish_code(keys: tuple[str, ...]) -> None:
    """The code was right: its failures are forgotten."""
    db.session.execute(delete(LoginThrottle).where(LoginThrottle.key.in_(keys)))


def _record_failure(attempt: Attempt) -> None:
    """Of people who exist only: what somebody typed instead of a name may be a password."""
    user = db.session.get(User, attempt.user_id) if attempt.user_id is not None else None
    if user is not None:
        events.record(None, "user", "login-failed", user.id, user.username)


def _keys(account: str, place: Place) -> tuple[str, ...]:
    if place.device:
        return (_key("device", place.device, account),)
    network = _network(place.address)
    return (_key("account", network, account), _key("address", network))


def _key(*parts: str) -> str:
    return f"{parts[0]}:{hashlib.sha256('|'.join(parts).encode(errors='replace')).hexdigest()}"


def _network(address: str) -> str:
    """One home has one IPv4 address but 2^64 IPv6 ones."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def _count_all(keys: tuple[str, ...]) -> None:
    now = utcnow()
    rows = [_row(key, now) for key in keys]
    for row in rows:
        _refuse_blocked(row, now)
    for row, free in zip(rows, (FREE_FAILURES, FREE_FAILURES_OF_ADDRESS), strict=False):
        _count(row, free, now)
    db.session.flush()


def _row(key: str, now: datetime) -> LoginThrottle:
    db.session.execute(delete(LoginThrottle).where(LoginThrottle.last_failure_at < now - MEMORY))
    row = db.session.get(LoginThrottle, key, populate_existing=True)
    if row is None:
        row = LoginThrottle(key=key, failures=0, last_failure_at=now)
        db.session.add(row)
    return row


def _refuse_blocked(row: LoginThrottle, now: datetime) -> None:
    if row.blocked_until is None or row.blocked_until <= now:
        return
    wait = math.ceil((row.blocked_until - now).total_seconds())
    words = ngettext("a second", "%(num)s seconds", wait)
    raise Throttled(_("Too many failed attempts. Wait %(words)s, then try again.", words=words), wait)


def _count(row: LoginThrottle, free: int, now: datetime) -> None:
    row.failures += 1
    row.last_failure_at = now
    if row.failures >= free:
        row.blocked_until = now + min(MAX_WAIT, timedelta(seconds=2 ** min(row.failures - free + 1, 16)))


def _forgive(key: str) -> None:
    row = db.session.get(LoginThrottle, key, populate_existing=True)
    if row is not None:
        row.failures = max(0, row.failures - 1)
        row.blocked_until = None if row.failures < FREE_FAILURES_OF_ADDRESS else row.blocked_until
