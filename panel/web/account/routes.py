"""One's own account: the password.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Invalid, Throttled
from panel.extensions import db, transaction
from panel.models import User
from panel.services import accounts
from panel.web import access, htmx
from panel.web.account.forms import PasswordForm
from panel.web.auth.routes import authenticate
from panel.web.auth.session import start_session

bp = Blueprint("account", __name__)


@bp.get("/account")
def show() -> Response:
    """Who one is here, and the form for a new password."""
    return _page(PasswordForm())


@bp.post("/account")
@access.open_to_viewers
def change_password() -> Response | BaseResponse:
    """A new password: all other sessions of this person end, this one goes on."""
    form = PasswordForm()
    if not form.validate_on_submit():
        return _page(form, 422)
    try:
        _change(access.actor(), form)
    except Invalid as refusal:
        form.attach(refusal)
        return _page(form, 422)
    except Throttled as refusal:
        form.attach(Invalid("current", refusal.message))
        return _page(form, refusal.status)
    htmx.toast("Password changed. Your other sessions have ended.")
    return htmx.go("/account")


def _change(user: User, form: PasswordForm) -> None:
    user_id, username = user.id, user.username
    if authenticate(username, form.current.data or "") is None:
        raise Invalid("current", "This is not your current password.")
    credentials = accounts.prepare(username, form.password.data or "")
    with transaction():
        changed = db.session.get_one(User, user_id)
        accounts.change_password(changed, credentials)
    start_session(changed)


def _page(form: PasswordForm, status: int = 200) -> Response:
    return make_response(render_template("account/show.html", form=form), status)
