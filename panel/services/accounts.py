"""People: the first administrator, new people, passwords and roles.
May import: panel.passwords, panel.services.{browser_sessions,events}, panel.models and below."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, select, update

from panel import passwords
from panel.config import Config
from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import OneTimeToken, Role, TokenPurpose, User
from panel.models.types import utcnow
from panel.services import browser_sessions, events

MIN_PASSWORD_LENGTH = 12
MAX_PASSWORD_LENGTH = 256
_USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?")


@dataclass(frozen=True)
class Credentials:
    """A checked user name and the hash of a password that fits it."""

    username: str
    password_hash: str


def prepare(username: str, password: str) -> Credentials:
    """Checks both and hashes the password, which takes a while: call it with no transaction open. Raises Invalid."""
    name = parse_username(username)
    check_password(name, password)
    return Credentials(name, passwords.hash_password(password))


def parse_username(text: str) -> str:
    """The name as it is stored, in lower case. Raises Invalid."""
    name = text.strip().lower()
    if not _USERNAME.fullmatch(name):
        raise Invalid(
            "username",
            _("Use 1 to 64 letters a to z, digits, dots, hyphens, underscores or @; a letter or digit at both ends."),
        )
    return name


def check_password(username: str, password: str) -> None:
    """Raises Invalid with the rule that the password breaks."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Invalid(
            "password",
            _(
                "Use at least %(min_password_length)s characters. A few words in a row do well.",
                min_password_length=MIN_PASSWORD_LENGTH,
            ),
        )
    if len(password) > MAX_PASSWORD_LENGTH:
        raise Invalid(
            "password", _("Use at most %(max_password_length)s characters.", max_password_length=MAX_PASSWORD_LENGTH)
        )
    if password.strip().lower() == username.lower():
        raise Invalid("password", _("Choose a password that is not your user name."))
    if len(set(password)) < 4:
        raise Invalid("password", _("Use more than a few different characters."))


def has_administrator() -> bool:
    """Whether somebody can administer this panel; then setup is over."""
    return db.session.scalar(select(User.id).where(User.role == Role.ADMINISTRATOR).limit(1)) is not None


def ensure_setup_link(config: Config) -> str | None:
    """The one-time setup link, also kept in `state_dir/setup-link` (0600); None once an administrator exists.

    A link that was printed before and not used stays good over restarts.
    """
    path = _setup_link_file(config)
    if has_administrator():
        path.unlink(missing_ok=True)
        return None
    token = _stored_setup_token(path) or _new_setup_token()
    link = f"{base_url(config)}/setup?{urlencode({'token': token})}"
    _write_secret(path, link)
    return link


def base_url(config: Config) -> str:
    """Where a browser finds the panel: as it was set, else on this machine."""
    return config.public_url or f"http://{_visible_host(config)}:{config.port}"


def forget_setup_link(config: Config) -> None:
    """Removes the file of the setup link, after its use."""
    _setup_link_file(config).unlink(missing_ok=True)


def is_setup_token(token: str) -> bool:
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
    user = add(credentials, Role.ADMINISTRATOR)
    events.record(user, "user", "setup", user.id, user.username, after={"role": user.role})
    return user


def create_user(credentials: Credentials, role: Role, actor: User | None = None) -> User:
    """A new person. Raises Conflict when the name is taken, Forbidden when `actor` is no administrator."""
    require_administrator(actor)
    user = add(credentials, role)
    events.record(actor, "user", "create", user.id, user.username, after={"role": role})
    return user


def find(username: str) -> User | None:
    """The person of that name, in any case."""
    return db.session.scalar(select(User).where(User.username == username.strip().lower()))


def get_by_id(user_id: int) -> User:
    """Raises NotFound."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound(_("There is no such user. The list of users shows who is there."))
    return user


def list_all() -> Sequence[User]:
    """Everybody, by name."""
    return db.session.scalars(select(User).order_by(User.username)).all()


def get(username: str) -> User:
    """The person of this name. Raises NotFound."""
    user = find(username)
    if user is None:
        raise NotFound(_("There is no user named %(username)s. Look at the spelling.", username=username))
    return user


def change_password(user: User, credentials: Credentials) -> None:
    """The person's own new password. Ends all their sessions; the door continues the one that asked."""
    _set_password(user, credentials)
    events.record(user, "user", "change_password", user.id, user.username, after={"password": events.CHANGED})


def reset_password(credentials: Credentials, actor: User | None = None) -> User:
    """A new password for somebody else. Ends all their sessions. Raises NotFound, Forbidden."""
    require_administrator(actor)
    user = get(credentials.username)
    _set_password(user, credentials)
    events.record(actor, "user", "reset_password", user.id, user.username, after={"password": events.CHANGED})
    return user


def set_role(user: User, role: Role, actor: User | None = None) -> None:
    """Another role, at once in all sessions: they end. Raises Forbidden, Conflict for the last administrator."""
    require_administrator(actor)
    if role != Role.ADMINISTRATOR:
        _keep_an_administrator(user)
    before = {"role": user.role}
    user.role = role
    browser_sessions.end_all(user)
    db.session.flush()
    events.record(actor, "user", "set_role", user.id, user.username, before=before, after={"role": role})


def disable(user: User, actor: User | None = None) -> None:
    """Shuts somebody out, at once in all sessions. Raises Forbidden, Conflict for the last administrator."""
    require_administrator(actor)
    if not user.is_active:
        raise Conflict(_("%(username)s is disabled already, so nothing was changed.", username=user.username))
    _keep_an_administrator(user)
    user.disabled_at = utcnow()
    browser_sessions.end_all(user)
    db.session.flush()
    _record_access(actor, user)


def enable(user: User, actor: User | None = None) -> None:
    """Lets somebody in again, with the password and role of before. Raises Forbidden, Conflict."""
    require_administrator(actor)
    if user.is_active:
        raise Conflict(_("%(username)s is not disabled, so nothing was changed.", username=user.username))
    user.disabled_at = None
    db.session.flush()
    _record_access(actor, user)


def end_sessions(user: User, actor: User | None = None) -> None:
    """Logs somebody out everywhere. Raises Forbidden."""
    require_administrator(actor)
    browser_sessions.end_all(user)
    events.record(actor, "user", "end_sessions", user.id, user.username)


def switch_shortcuts(user: User, *, is_on: bool) -> None:
    """The person's own wish: whether single keys do things on pages."""
    if user.has_shortcuts == is_on:
        return
    user.has_shortcuts = is_on
    db.session.flush()
    after = {"has_shortcuts": is_on}
    events.record(
        user, "user", "switch_shortcuts", user.id, user.username, before={"has_shortcuts": not is_on}, after=after
    )


def is_last_administrator(user: User) -> bool:
    """Whether nobody else administers this panel."""
    return user.role == Role.ADMINISTRATOR and user.is_active and not _other_administrator(user)


def require_administrator(actor: User | None) -> None:
    """Raises Forbidden. None is the terminal of the panel's own machine."""
    if actor is not None and not actor.may_administer:
        raise Forbidden(_("Only administrators manage people. Ask one of them."))


def add(credentials: Credentials, role: Role) -> User:
    """The row of a new person; who calls has checked that it may be made. Raises Conflict when the name is taken."""
    if find(credentials.username) is not None:
        raise Conflict(
            _("There is already a user named %(username)s. Choose another name.", username=credentials.username)
        )
    user = User(username=credentials.username, password_hash=credentials.password_hash, role=role)
    db.session.add(user)
    db.session.flush()
    return user


def _record_access(actor: User | None, user: User) -> None:
    before, after = {"is_active": not user.is_active}, {"is_active": user.is_active}
    verb = "enable" if user.is_active else "disable"
    events.record(actor, "user", verb, user.id, user.username, before=before, after=after)


def _set_password(user: User, credentials: Credentials) -> None:
    user.password_hash = credentials.password_hash
    browser_sessions.end_all(user)
    db.session.flush()


def _other_administrator(user: User) -> bool:
    return db.session.scalar(_administrators().where(User.id != user.id).limit(1)) is not None


def _administrators() -> Select[int]:
    return select(User.id).where(User.role == Role.ADMINISTRATOR, User.disabled_at.is_(None))


def _keep_an_administrator(user: User) -> None:
    """Locks the rows where the database can: of two administrators who demote each other one is refused."""
    db.session.execute(_administrators().with_for_update()).all()
    if is_last_administrator(user):
        raise Conflict(_("This is the only administrator. Make somebody else one first."))


def _unused(token: str) -> tuple[ColumnElement[bool], ...]:
    return (
        OneTimeToken.purpose == TokenPurpose.SETUP,
        OneTimeToken.secret_sha256 == _hash_token(token),
        OneTimeToken.used_at.is_(None),
    )


def _new_setup_token() -> str:
    """A fresh token; older ones stop working, so that there is one link and no more."""
    is_open = (OneTimeToken.purpose == TokenPurpose.SETUP, OneTimeToken.used_at.is_(None))
    db.session.execute(update(OneTimeToken).where(*is_open).values(used_at=utcnow()))
    token = secrets.token_urlsafe(32)
    db.session.add(OneTimeToken(purpose=TokenPurpose.SETUP, secret_sha256=_hash_token(token)))
    db.session.flush()
    return token


def _stored_setup_token(path: Path) -> str | None:
    try:
        token = path.read_text().strip().rpartition("token=")[2]
    except OSError:
        return None
    return token if token and is_setup_token(token) else None


def _hash_token(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _setup_link_file(config: Config) -> Path:
    return config.state_dir / "setup-link"


def _visible_host(config: Config) -> str:
    """What a browser on this machine can open when the panel listens on all addresses."""
    return "127.0.0.1" if config.host in {"0.0.0.0", "::", ""} else config.host  # noqa: S104 - compared, not bound


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
