"""Starting and ending a browser's session: the row in the database, and the cookie that names it.
May import: Flask, Flask-Login, panel.web.{access,device}, panel.services.browser_sessions and below."""

from __future__ import annotations

from dataclasses import dataclass

from flask import redirect, session, url_for
from flask_login import login_user, logout_user
from werkzeug.wrappers import Response as BaseResponse

from panel.extensions import db, transaction
from panel.models import User
from panel.services import browser_sessions
from panel.web import access, device
from panel.web.access import SESSION_KEY

HOME = "/"


@dataclass(frozen=True)
class Opened:
    """A login whose row is written and whose cookie is not given yet."""

    user_id: int
    username: str
    key: str
    awaits_code: bool


def open_session(user: User, *, by: str, asks_for_code: bool = True) -> Opened:
    """Inside of the transaction that decided to let the person in. Who has a second factor is half-way then."""
    session_before = session.get(SESSION_KEY, "")
    browser_sessions.forget(session_before)
    awaits_code = asks_for_code and user.has_second_factor
    if awaits_code:
        key = browser_sessions.start_second_step(user, access.visit())
    else:
        key = browser_sessions.start(user, access.visit(), by=by)
    return Opened(user.id, user.username, key, awaits_code)


def keep(opened: Opened) -> None:
    """A new cookie: nothing that an earlier page or person left in it survives."""
    session.clear()
    session[SESSION_KEY] = opened.key
    if not opened.awaits_code:
        session.permanent = True
        login_user(db.session.get_one(User, opened.user_id))


def enter(opened: Opened, wanted: str) -> BaseResponse:
    """To the page that was wanted, or first to the second step."""
    keep(opened)
    if opened.awaits_code:
        return redirect(url_for("auth.code", next=wanted if wanted and wanted != HOME else None), 303)
    response = redirect(wanted or HOME, 303)
    device.remember(response, opened.username)
    return response


def end_session() -> None:
    """Back to a stranger; every copy of the cookie is worth nothing from now on."""
    with transaction():
        browser_sessions.log_out(session.get(SESSION_KEY, ""))
    logout_user()
    session.clear()
