"""The one-time link that makes the first administrator, and its file on the panel's machine.
May import: panel.services.{accounts,events,secret_hashes,user_credentials}, panel.models, panel.config and below."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, select, update

from panel.config import Config
from panel.errors import NotFound
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import OneTimeToken, Role, TokenPurpose, User
from panel.models.types import utcnow
from panel.services import accounts, events
from panel.services.secret_hashes import hash_secret
from panel.services.user_credentials import Credentials


def has_administrator() -> bool:
    """Whether somebody can administer this panel; then setup is over."""
    return db.session.scalar(select(User.id).where(User.role == Role.ADMINISTRATOR).limit(1)) is not None


def ensure(config: Config) -> str | None:
    """The link, also kept in `state_dir/setup-link` (0600); None once an administrator exists.

    A link that was printed before and not used stays good over restarts.
    """
    path = _file(config)
    if has_administrator():
        path.unlink(missing_ok=True)
        return None
    token = _stored_token(path) or _new_token()
    link = f"{config.base_url}/setup?{urlencode({'token': token})}"
    _write_secret(path, link)
    return link


def forget(config: Config) -> None:
    """Removes the link's file, after its use."""
    _file(config).unlink(missing_ok=True)


def is_good(token: str) -> bool:
    """Whether the token would make the first administrator now."""
    return not has_administrator() and db.session.scalar(select(OneTimeToken.id).where(*_unused(token))) is not None


def set_up(token: str, credentials: Credentials) -> User:
    """Makes the first administrator and spends the token; of two racing posts one wins. Raises NotFound otherwise."""
    spent = db.session.scalar(
        update(OneTimeToken).where(*_unused(token)).values(used_at=utcnow()).returning(OneTimeToken.id)
    )
    if spent is None or has_administrator():
        raise NotFound(
            _("This setup link is not valid any more. Log in, or use the newest link of the panel's output.")
        )
    user = accounts.add(credentials, Role.ADMINISTRATOR)
    events.record(user, "user", "setup", user.id, user.username, after={"role": user.role})
    return user


def _unused(token: str) -> tuple[ColumnElement[bool], ...]:
    return (
        OneTimeToken.purpose == TokenPurpose.SETUP,
        OneTimeToken.secret_sha256 == hash_secret(token),
        OneTimeToken.used_at.is_(None),
    )


def _new_token() -> str:
    """A fresh token; older ones stop working, so that there is one link and no more."""
    is_open = (OneTimeToken.purpose == TokenPurpose.SETUP, OneTimeToken.used_at.is_(None))
    db.session.execute(update(OneTimeToken).where(*is_open).values(used_at=utcnow()))
    token = secrets.token_urlsafe(32)
    db.session.add(OneTimeToken(purpose=TokenPurpose.SETUP, secret_sha256=hash_secret(token)))
    db.session.flush()
    return token


def _stored_token(path: Path) -> str | None:
    try:
        token = path.read_text().strip().rpartition("token=")[2]
    except OSError:
        return None
    return token if token and is_good(token) else None


def _file(config: Config) -> Path:
    return config.state_dir / "setup-link"


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
