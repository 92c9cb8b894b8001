"""The forms of logging in: name and password, then the code.
May import: WTForms, panel.web.forms."""

from __future__ import annotations

from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from panel.i18n import lazy_gettext
from panel.web.forms import Form


class LoginForm(Form):
    """A name and a password."""

    username = StringField(
        lazy_gettext("User name"), [InputRequired(lazy_gettext("Enter your user name.")), Length(max=254)]
    )
    password = PasswordField(
        lazy_gettext("Password"), [InputRequired(lazy_gettext("Enter your password.")), Length(max=1024)]
    )


class CodeForm(Form):
    """A code of the app, or a recovery code."""

    code = StringField(
        lazy_gettext("Code"), [InputRequired(lazy_gettext("Enter the code that your app shows.")), Length(max=64)]
    )
