"""Starting and ending a browser's session.
May import: Flask, Flask-Login, panel.models."""

from __future__ import annotations

from flask import session
from flask_login import login_user, logout_user

from panel.models import User


def start_session(user: User) -> None:
    """A new session for `user`: nothing that an earlier page or person left in it survives."""
    session.clear()
    session.permanent = True
    login_user(user)


def end_session() -> None:
    """Back to a stranger."""
    logout_user()
    session.clear()
