"""Invitations: a link that makes one person with a role that was chosen before.
May import: panel.services.{accounts,events,secret_hashes,user_credentials}, panel.models and below."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, or_, select, update

from panel.errors import Invalid, NotFound
from panel.extensions import db
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Invitation, Role, User
from panel.models.types import utcnow
from panel.services import accounts, events
from panel.services.secret_hashes import hash_secret
from panel.services.user_credentials import Credentials

DAYS = (1, 3, 7, 30)  # how long a link may be good for
DEFAULT_DAYS = 3
KEPT = timedelta(days=30)  # after its end; the audit log remembers longer
GONE = lazy_gettext("This invitation is not valid any more. Ask for a new one.")


def create(role: Role, note: str, days: int, actor: User | None) -> tuple[Invitation, str]:
    """An invitation and the secret of its link, which is shown once. Raises Forbidden, Invalid."""
    accounts.require_administrator(actor)
    text = " ".join(note.split())
    if len(text) > 64 or not text.isprintable():
        raise Invalid("note", _("Use at most 64 letters and no control characters."))
    if days not in DAYS:
        raise Invalid("days", _("Choose how long the link is good for."))
    token = secrets.token_urlsafe(32)
    invitation = Invitation(
        secret_sha256=hash_secret(token),
        role=role,
        note=text,
        created_by_id=None if actor is None else actor.id,
        expires_at=utcnow() + timedelta(days=days),
    )
    db.session.add(invitation)
    db.session.flush()
    after = {"role": role, "days": days}
    events.record(actor, "invitation", "create", invitation.id, text, after=after)
    return invitation, token


def take_back(invitation_id: int, actor: User) -> Invitation:
    """The link stops working. Raises NotFound when it was used, has ended or never was; Forbidden."""
    accounts.require_administrator(actor)
    open_one = (Invitation.id == invitation_id, *_is_open())
    invitation: Invitation | None = db.session.scalar(
        update(Invitation).where(*open_one).values(taken_back_at=utcnow()).returning(Invitation)
    )
    if invitation is None:
        raise NotFound(_("This invitation was used or has ended. There is nothing to take back."))
    before = {"role": invitation.role}
    events.record(actor, "invitation", "take_back", invitation.id, invitation.note, before=before)
    return invitation


def list_open() -> Sequence[Invitation]:
    """What somebody could still use, newest first."""
    return db.session.scalars(select(Invitation).where(*_is_open()).order_by(Invitation.id.desc())).all()


def find(token: str) -> Invitation | None:
    """The invitation that this link's secret opens now."""
    return db.session.scalar(select(Invitation).where(Invitation.secret_sha256 == hash_secret(token), *_is_open()))


def accept(token: str, credentials: Credentials) -> User:
    """Makes the person and spends the link; of racing posts one wins. Raises NotFound; Conflict for a taken name."""
    spent = db.session.scalar(
        update(Invitation)
        .where(Invitation.secret_sha256 == hash_secret(token), *_is_open())
        .values(used_at=utcnow())
        .returning(Invitation)
    )
    if spent is None:
        raise NotFound(GONE)
    user = accounts.add(credentials, Role(spent.role))
    after = {"role": spent.role, "invitation": spent.id, "invited_by": spent.created_by_id}
    events.record(user, "user", "accept_invitation", user.id, user.username, after=after)
    return user


def prune(now: datetime) -> None:
    """Deletes invitations that ended long ago."""
    db.session.execute(delete(Invitation).where(Invitation.expires_at < now - KEPT))


def _is_open() -> tuple[ColumnElement[bool], ...]:
    """Whoever is no active administrator any more has also lost the word that was given in the link."""
    return (
        Invitation.used_at.is_(None),
        Invitation.taken_back_at.is_(None),
        Invitation.expires_at > utcnow(),
        or_(Invitation.created_by_id.is_(None), Invitation.created_by_id.in_(accounts.administrators())),
    )
