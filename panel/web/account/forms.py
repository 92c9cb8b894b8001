"""The forms of one's own account. Whatever lets somebody in, or keeps somebody out, asks for the password first.
May import: WTForms, panel.web.forms."""

from __future__ import annotations

from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from panel.i18n import lazy_gettext
from panel.web.forms import Form


class PasswordForm(Form):
    """The password now, and the new one twice."""

    current = PasswordField(
        lazy_gettext("Current password"),
        [InputRequired(lazy_gettext("Enter your current password.")), Length(max=1024)],
    )
    password = PasswordField(
        lazy_gettext("New password"), [InputRequired(lazy_gettext("Choose a new password.")), Length(max=1024)]
    )
    repeat = PasswordField(
        lazy_gettext("New password again"), [EqualTo("password", lazy_gettext("The two passwords differ."))]
    )


class ProofForm(Form):
    """The password, before something that matters."""

    current = PasswordField(
        lazy_gettext("Current password"),
        [InputRequired(lazy_gettext("Enter your current password.")), Length(max=1024)],
    )


class FirstCodeForm(Form):
    """The first code of a new app."""

    code = StringField(
        lazy_gettext("Code"), [InputRequired(lazy_gettext("Enter the code that the app shows.")), Length(max=16)]
    )
