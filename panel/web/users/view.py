"""People and invitations as the users pages show them.
May import: panel.models, panel.services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from panel.i18n import gettext as _
from panel.models import User
from panel.models.types import utcnow
from panel.services import accounts, browser_sessions, identities, invitations


@dataclass(frozen=True)
class UserView:
    """One person: role, whether they may log in and how, when they were here last."""

    id: int
    username: str
    role: str
    is_active: bool
    ways_in: str
    last_seen_at: datetime | None
    is_me: bool


@dataclass(frozen=True)
class InvitationView:
    """An open invitation."""

    id: int
    note: str
    role: str
    invited_by: str
    created_at: datetime
    expires_at: datetime


def users(me: User) -> list[UserView]:
    """Everybody, by name, with a constant number of queries."""
    seen = browser_sessions.last_seen(utcnow())
    linked = identities.linked_people()
    return [
        UserView(
            user.id, user.username, user.role, user.is_active, _ways_in(user, user.id in linked), seen.get(user.id),
            user.id == me.id,
        )
        for user in accounts.list_all()
    ]  # fmt: skip


def open_invitations() -> list[InvitationView]:
    """What somebody could still use, newest first."""
    names = {user.id: user.username for user in accounts.list_all()}
    return [
        InvitationView(
            row.id, row.note or _("Invitation"), row.role, names.get(row.created_by_id or 0, _("the terminal")),
            row.created_at, row.expires_at,
        )
        for row in invitations.list_open()
    ]  # fmt: skip


def ways_in(user: User) -> str:
    """As in "password and second factor"."""
    return _ways_in(user, bool(identities.list_for(user)))


def _ways_in(user: User, is_linked: bool) -> str:
    password = _("password and second factor") if user.has_second_factor else _("password")
    ways = [password] if user.has_password else []
    return _(", or ").join([*ways, _("a provider")] if is_linked else ways) or _("none")
