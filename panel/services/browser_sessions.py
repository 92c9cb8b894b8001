"""Logins of people: each browser has a row, and without it a cookie is worth nothing.
May import: panel.services.{events,secret_hashes}, panel.models, panel.extensions, panel.errors."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from panel.errors import NotFound
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import BrowserSession, User
from panel.models.types import utcnow
from panel.services import events
from panel.services.secret_hashes import hash_secret

LIFETIME = timedelta(days=14)  # of a login, as that of its cookie
CODE_WITHIN = timedelta(minutes=10)  # from the password to the second step
SEEN_EVERY = timedelta(minutes=5)  # how exact "last seen" is


@dataclass(frozen=True)
class Visit:
    """Where a browser comes from and what it calls itself; neither is believed, both are only shown."""

    address: str
    agent: str


@dataclass(frozen=True)
class Login:
    """A row that is good now, and its person."""

    session: BrowserSession
    user: User


def start(user: User, visit: Visit, *, by: str) -> str:
    """A login; gives the key for the cookie, which is kept nowhere. `by` says how: "password", "link", "provider"."""
    key = _add(user, visit, LIFETIME, awaits_code=False)
    events.record(user, "user", "login", user.id, user.username, after={"by": by, "address": visit.address[:45]})
    return key


def start_second_step(user: User, visit: Visit) -> str:
    """What the right password alone gives: a key that opens nothing but the question for the code."""
    return _add(user, visit, CODE_WITHIN, awaits_code=True)


def find(key: str, now: datetime, *, awaits_code: bool = False) -> Login | None:
    """The login of this key: not ended, not too old, of somebody who may log in."""
    row = db.session.execute(
        select(BrowserSession, User)
        .join(User, User.id == BrowserSession.user_id)
        .where(BrowserSession.key_sha256 == hash_secret(key), BrowserSession.awaits_code.is_(awaits_code))
    ).first()
    if row is None or row[0].expires_at <= now or not row[1].is_active:
        return None
    return Login(row[0], row[1])


def is_due(session: BrowserSession, now: datetime) -> bool:
    """Whether "last seen" is old enough to be written again."""
    return now - session.last_seen_at >= SEEN_EVERY


def seen(session_id: int, visit: Visit, now: datetime) -> None:
    """Writes when and from where a login was used last."""
    values = {"last_seen_at": now, "address": visit.address[:45], "agent": visit.agent[:300]}
    db.session.execute(update(BrowserSession).where(BrowserSession.id == session_id).values(values))
    wake_after_commit("sessions")


def list_for(user: User, now: datetime) -> Sequence[BrowserSession]:
    """The person's logins, the one that was used last first."""
    good = (BrowserSession.expires_at > now, BrowserSession.awaits_code.is_(False))
    mine = select(BrowserSession).where(BrowserSession.user_id == user.id, *good)
    return db.session.scalars(mine.order_by(BrowserSession.last_seen_at.desc(), BrowserSession.id.desc())).all()


def last_seen(now: datetime) -> dict[int, datetime]:
    """When each person who is logged in somewhere was seen last, by user id."""
    good = (BrowserSession.expires_at > now, BrowserSession.awaits_code.is_(False))
    rows = db.session.execute(select(BrowserSession.user_id, BrowserSession.last_seen_at).where(*good))
    found: dict[int, datetime] = {}
    for user_id, at in rows:
        found[user_id] = max(at, found.get(user_id, at))
    return found


def forget(key: str) -> None:
    """Ends a login: the row goes, and with it every copy of the cookie."""
    db.session.execute(delete(BrowserSession).where(BrowserSession.key_sha256 == hash_secret(key)))
    wake_after_commit("sessions")


def log_out(key: str) -> None:
    """The person's own end of this login; nothing happens when it has ended already."""
    login = find(key, utcnow())
    forget(key)
    if login is not None:
        events.record(login.user, "user", "logout", login.user.id, login.user.username)


def end(session_id: int, user: User) -> None:
    """Ends one of the person's own logins. Raises NotFound, also for somebody else's."""
    mine = delete(BrowserSession).where(BrowserSession.id == session_id, BrowserSession.user_id == user.id)
    if db.session.scalar(mine.returning(BrowserSession.id)) is None:
        raise NotFound(_("This session has ended already, so nothing is left to end."))
    events.record(user, "user", "end_session", user.id, user.username)


def end_others(user: User, kept_id: int) -> int:
    """Ends all of the person's logins but one; how many there were."""
    others = delete(BrowserSession).where(BrowserSession.user_id == user.id, BrowserSession.id != kept_id)
    count = len(db.session.scalars(others.returning(BrowserSession.id)).all())
    events.record(user, "user", "end_sessions", user.id, user.username, after={"ended": count})
    return count


def end_all(user: User) -> None:
    """Ends every login of the person, half-way ones too. Who calls records why."""
    db.session.execute(delete(BrowserSession).where(BrowserSession.user_id == user.id))


def prune(now: datetime) -> None:
    """Deletes the rows that time has ended."""
    db.session.execute(delete(BrowserSession).where(BrowserSession.expires_at <= now))


def _add(user: User, visit: Visit, lifetime: timedelta, *, awaits_code: bool) -> str:
    key = secrets.token_urlsafe(32)
    row = BrowserSession(
        user_id=user.id,
        key_sha256=hash_secret(key),
        awaits_code=awaits_code,
        address=visit.address[:45],
        agent=visit.agent[:300],
        expires_at=utcnow() + lifetime,
    )
    db.session.add(row)
    db.session.flush()
    return key
