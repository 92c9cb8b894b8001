"""The form of the first administrator.
May import: WTForms, panel.web.forms."""

from __future__ import annotations

from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from panel.i18n import lazy_gettext
from panel.web.forms import Form


class SetupForm(Form):
    """Shapes only; the rules of names and passwords are facts of panel.services.user_credentials."""

    username = StringField(
        lazy_gettext("User name"), [InputRequired(lazy_gettext("Choose a user name.")), Length(max=64)]
    )
    password = PasswordField(
        lazy_gettext("Password"), [InputRequired(lazy_gettext("Choose a password.")), Length(max=1024)]
    )
    repeat = PasswordField(
        lazy_gettext("Password again"), [EqualTo("password", lazy_gettext("The two passwords differ."))]
    )
