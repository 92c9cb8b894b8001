"""People who come through an OpenID provider: known by issuer and subject, never by a name or an address.
May import: panel.oidc, panel.services.{accounts,events,user_credentials}, panel.models and below."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from panel.config import OidcSettings
from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import Identity, Role, User
from panel.oidc import Person
from panel.services import accounts, events, user_credentials
from panel.services.user_credentials import Credentials

_HIGHEST_FIRST = (Role.ADMINISTRATOR, Role.OPERATOR, Role.VIEWER)


def sign_in(person: Person, settings: OidcSettings) -> User:
    """Who this is here, made or with a new role where the settings say so. Raises Forbidden with what to do."""
    role = _role(person, settings)
    if settings.role_claim and role is None:
        raise Forbidden(_("%(name)s gives you no role in this panel. Ask whoever runs it.", name=settings.name))
    identity = _find(person)
    if identity is None:
        return _admit(person, role, settings)
    user = db.session.get_one(User, identity.user_id)
    if not user.is_active:
        raise Forbidden(_("Your account here is disabled. Ask an administrator of this panel."))
    identity.label = person.label
    if role is not None and role != user.role and not accounts.is_last_administrator(user):
        accounts.set_role(user, role)
    return user


def link(user: User, person: Person) -> None:
    """Lets somebody who is logged in come through the provider from now on. Raises Conflict when it is another's."""
    known = _find(person)
    if known is not None:
        mine = known.user_id == user.id
        raise Conflict(
            _("This is linked already, so nothing was changed.")
            if mine
            else _("This sign-in belongs to another user of this panel. That user must unlink it first.")
        )
    _add(user, person)
    after = {"issuer": person.issuer, "label": person.label}
    events.record(user, "user", "link_identity", user.id, user.username, after=after)


def unlink(identity_id: int, user: User) -> None:
    """Takes one of the person's own identities away. Raises NotFound; Conflict when there is no other way in."""
    identity = db.session.get(Identity, identity_id)
    if identity is None or identity.user_id != user.id:
        raise NotFound(_("There is no such sign-in. It may be unlinked already."))
    if not user.has_password:
        raise Conflict(_("You have no password here, so this is your only way in. Link another one first."))
    before = {"issuer": identity.issuer, "label": identity.label}
    db.session.delete(identity)
    db.session.flush()
    events.record(user, "user", "unlink_identity", user.id, user.username, before=before)


def list_for(user: User) -> Sequence[Identity]:
    """The person's identities, oldest first."""
    return db.session.scalars(select(Identity).where(Identity.user_id == user.id).order_by(Identity.id)).all()


def linked_people() -> set[int]:
    """The ids of everybody who has an identity."""
    return set(db.session.scalars(select(Identity.user_id)))


def _find(person: Person) -> Identity | None:
    same = (Identity.issuer == person.issuer, Identity.subject == person.subject)
    return db.session.scalar(select(Identity).where(*same))


def _add(user: User, person: Person) -> None:
    row = Identity(user_id=user.id, issuer=person.issuer, subject=person.subject, label=person.label)
    db.session.add(row)
    db.session.flush()


def _admit(person: Person, role: Role | None, settings: OidcSettings) -> User:
    """Somebody new. A name that is taken is no proof that it is the same person."""
    if not settings.admits_unknown:
        raise Forbidden(
            _(
                "%(name)s knows you, but this panel does not. If you have an account here, log in"
                " with its password and link the two on your account page. If not, ask an "
                "administrator for an invitation.",
                name=settings.name,
            )
        )
    name = _username(person)
    if accounts.find(name) is not None:
        raise Forbidden(
            _(
                "There is a user named %(name)s here already. If that is you, log in with the "
                "password and link the two on your account page. If not, ask an administrator for"
                " an invitation.",
                name=name,
            )
        )
    user = accounts.add(Credentials(name, ""), role or Role.VIEWER)
    _add(user, person)
    after = {"role": user.role, "issuer": person.issuer, "label": person.label}
    events.record(user, "user", "enter", user.id, user.username, after=after)
    return user


def _username(person: Person) -> str:
    try:
        return user_credentials.parse_username(person.username)
    except Invalid:
        kept = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in person.username.lower())
    try:
        return user_credentials.parse_username(kept.strip("-")[:64].rstrip("-"))
    except Invalid as refusal:
        raise Forbidden(_("The provider gives you no name that can be used here. Ask for an invitation.")) from refusal


def _role(person: Person, settings: OidcSettings) -> Role | None:
    """The highest role that the claim gives; None without a claim or a value that means one."""
    given = {role for value, role in settings.roles if value in person.roles}
    return next((role for role in _HIGHEST_FIRST if role in given), None)
