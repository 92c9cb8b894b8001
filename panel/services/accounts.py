"""People: who there is, new people, their passwords and roles, and who is shut out.
May import: panel.services.{browser_sessions,events,user_credentials}, panel.models and below."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select

from panel.errors import Conflict, Forbidden, NotFound
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import Role, User
from panel.models.types import utcnow
from panel.services import browser_sessions, events
from panel.services.user_credentials import Credentials


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


def administrators() -> Select[int]:
    """Selects the ids of those who administer this panel now."""
    return select(User.id).where(User.role == Role.ADMINISTRATOR, User.disabled_at.is_(None))


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
    return db.session.scalar(administrators().where(User.id != user.id).limit(1)) is not None


def _keep_an_administrator(user: User) -> None:
    """Locks the rows where the database can: of two administrators who demote each other one is refused."""
    db.session.execute(administrators().with_for_update()).all()
    if is_last_administrator(user):
        raise Conflict(_("This is the only administrator. Make somebody else one first."))
