"""The form that changes one's own password.
May import: WTForms, panel.web.forms."""

from __future__ import annotations

from wtforms import PasswordField
from wtforms.validators import EqualTo, InputRequired, Length

from panel.web.forms import Form


class PasswordForm(Form):
    """The password now, and the new one twice."""

    current = PasswordField("Current password", [InputRequired("Enter your current password."), Length(max=1024)])
    password = PasswordField("New password", [InputRequired("Choose a new password."), Length(max=1024)])
    repeat = PasswordField("New password again", [EqualTo("password", "The two passwords differ.")])
