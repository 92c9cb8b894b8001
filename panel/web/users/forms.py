"""The forms about people: an invitation, and another role.
May import: WTForms, panel.web.{filters,forms}, panel.services, panel.models."""

from __future__ import annotations

from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import Length

from panel.i18n import lazy_gettext
from panel.models import Role
from panel.services import invitations
from panel.web.filters import ROLES as ROLE_WORDS
from panel.web.forms import Form

ROLES = [SelectChoice(role.value, ROLE_WORDS[role]) for role in (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR)]
_DAY_WORDS = {
    1: lazy_gettext("1 day"),
    3: lazy_gettext("3 days"),
    7: lazy_gettext("7 days"),
    30: lazy_gettext("30 days"),
}
_DAYS = [SelectChoice(days, _DAY_WORDS[days]) for days in invitations.DAYS]


class InvitationForm(Form):
    """For whom, as what, for how long. The person chooses the user name."""

    note = StringField(lazy_gettext("For whom"), [Length(max=64, message=lazy_gettext("Use at most 64 letters."))])
    role = SelectField(lazy_gettext("Role"), choices=ROLES, default=Role.OPERATOR.value)
    days = SelectField(lazy_gettext("Link is good for"), choices=_DAYS, coerce=int, default=invitations.DEFAULT_DAYS)


class RoleForm(Form):
    """One of the three roles."""

    role = SelectField(lazy_gettext("Role"), choices=ROLES)
