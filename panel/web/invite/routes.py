"""What an invited person sees: the form behind the one-time link.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Conflict, Invalid, NotFound
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.models import Invitation
from panel.services import invitations, user_credentials
from panel.web import access, htmx
from panel.web.auth.session import HOME, enter, open_session
from panel.web.invite.forms import InviteForm

bp = Blueprint("invite", __name__)


@bp.get("/invite")
@access.public
def show() -> Response:
    """The form, for who has the link; a sentence for everybody else."""
    token = request.args.get("token", "")
    invitation = invitations.find(token)
    return _page(InviteForm(), token, invitation) if invitation else _closed()


@bp.post("/invite")
@access.public
def accept() -> Response | BaseResponse:
    """Makes the person and logs them in."""
    token = request.form.get("token", "")
    invitation = invitations.find(token)
    if invitation is None:
        return _closed()
    form = InviteForm()
    if not form.validate_on_submit():
        return _page(form, token, invitation, 422)
    try:
        return _enter(token, form)
    except Invalid as refusal:
        form.attach(refusal)
    except Conflict as refusal:
        form.attach(Invalid("username", refusal.message))
    except NotFound:
        return _closed()
    return _page(form, token, invitation, 422)


def _enter(token: str, form: InviteForm) -> BaseResponse:
    credentials = user_credentials.prepare(form.username.data or "", form.password.data or "")
    with transaction():
        opened = open_session(invitations.accept(token, credentials), by="invitation")
    response = enter(opened, HOME)
    htmx.toast(_("Welcome, %(username)s.", username=opened.username))
    return response


def _page(form: InviteForm, token: str, invitation: Invitation, status: int = 200) -> Response:
    page = render_template("invite/show.html", form=form, token=token, role=invitation.role)
    return make_response(page, status)


def _closed() -> Response:
    return make_response(render_template("invite/closed.html", sentence=invitations.GONE), 404)
