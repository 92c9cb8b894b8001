"""Asking for the password again, with the wait that guessing has at the login.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from panel.errors import Invalid, Throttled
from panel.i18n import gettext as _
from panel.models import User
from panel.web.account.forms import PasswordForm, ProofForm
from panel.web.auth.routes import authenticate


def refusal_of(user: User, form: PasswordForm | ProofForm) -> int:
    """0 when the password is right. Else the status to answer with; the form then says what is wrong."""
    if not form.validate_on_submit():
        return 422
    try:
        if authenticate(user.username, form.current.data or "") is not None:
            return 0
    except Throttled as refusal:
        form.attach(Invalid("current", refusal.message))
        return refusal.status
    form.attach(Invalid("current", _("This is not your current password. Enter it again.")))
    return 422
