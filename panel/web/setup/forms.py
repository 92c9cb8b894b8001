"""The form of the first administrator.
May import: WTForms, panel.web.forms."""

from __future__ import annotations

from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from panel.web.forms import Form


class SetupForm(Form):
    """Shapes only; the rules of names and passwords are facts of panel.services.accounts."""

    username = StringField("User name", [InputRequired("Choose a user name."), Length(max=64)])
    password = PasswordField("Password", [InputRequired("Choose a password."), Length(max=1024)])
    repeat = PasswordField("Password again", [EqualTo("password", "The two passwords differ.")])
