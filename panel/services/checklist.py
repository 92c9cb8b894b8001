"""The first steps with a new panel: what is done is read from the data, nobody ticks anything.
May import: panel.services.{events,second_factors}, panel.models, panel.extensions."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import exists, select

from panel.extensions import db
from panel.i18n import lazy_gettext
from panel.models import Agent, Certificate, Invitation, NotificationChannel, ProxyHost, User
from panel.models.types import utcnow
from panel.services import events


@dataclass(frozen=True)
class Step:
    """One of them. `address` is where it is done; "" for what is always done here."""

    key: str
    title: str
    sentence: str
    label: str
    address: str
    is_done: bool


def read(user: User) -> list[Step]:
    """The steps that this person can do; [] when all are done, when the person put them away, and for viewers."""
    if user.first_steps_hidden_at is not None or not user.may_edit:
        return []
    done = _done(user)
    every = [Step(*row, is_done=done[row[0]]) for row in _STEPS]
    steps = [step for step in every if user.may_administer or step.key not in _ADMINISTRATORS]
    return [] if all(step.is_done for step in steps) else steps


def set_hidden(user: User, *, is_hidden: bool) -> None:
    """Puts the first steps away for this person, or shows them again."""
    if (user.first_steps_hidden_at is not None) == is_hidden:
        return
    user.first_steps_hidden_at = utcnow() if is_hidden else None
    db.session.flush()
    events.record(user, "user", "hide_first_steps" if is_hidden else "show_first_steps", user.id, user.username)


# Key, title, sentence, and the button with its page.
_STEPS = (
    ("setup", lazy_gettext("Set up this panel"), lazy_gettext("You are its administrator."), "", ""),
    (
        "agent",
        lazy_gettext("Connect an agent"),
        lazy_gettext("It runs beside nginx and does what you decide here."),
        lazy_gettext("Add agent"),
        "/agents/new",
    ),
    (
        "host",
        lazy_gettext("Add the first host"),
        lazy_gettext("A public name, and the service that answers for it."),
        lazy_gettext("Add host"),
        "/hosts/new",
    ),
    (
        "certificate",
        lazy_gettext("Get the first certificate"),
        lazy_gettext("One click on the page of a host requests it; the agent renews it."),
        lazy_gettext("Request certificate"),
        "/certificates/new",
    ),
    (
        "notifications",
        lazy_gettext("Let failures reach you"),
        lazy_gettext("Authorities send no reminders: choose where news goes."),
        lazy_gettext("Add channel"),
        "/settings/notifications/new",
    ),
    (
        "people",
        lazy_gettext("Invite a second person"),
        lazy_gettext("So that somebody can act while you are away."),
        lazy_gettext("Invite somebody"),
        "/users/invite",
    ),
    (
        "second_factor",
        lazy_gettext("Turn on your second factor"),
        lazy_gettext("A stolen password alone is worth nothing then."),
        lazy_gettext("Set up second factor"),
        "/account/second-factor",
    ),
)
_ADMINISTRATORS = frozenset({"setup", "agent", "notifications", "people"})  # steps of theirs


def _done(user: User) -> dict[str, bool]:
    """One query."""
    other_person = exists().where(User.id != user.id)
    questions = {
        "agent": exists().where(Agent.joined_at.is_not(None), Agent.revoked_at.is_(None)),
        "host": exists().where(ProxyHost.deleted_at.is_(None)),
        "certificate": exists().where(Certificate.is_present.is_(True)),
        "notifications": exists().where(NotificationChannel.is_enabled.is_(True)),
        "person": other_person,
        "invitation": exists().where(Invitation.taken_back_at.is_(None)),
    }
    row = db.session.execute(select(*(question.label(name) for name, question in questions.items()))).one()
    found = {"setup": True} | {name: bool(getattr(row, name)) for name in questions}
    found["people"] = found["person"] or found["invitation"]
    # Who comes by a provider proves there who they are.
    found["second_factor"] = user.has_second_factor or not user.has_password
    return found
