"""The first administrator, made by who holds the setup link.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, make_response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Invalid, NotFound
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.services import setup_links, user_credentials
from panel.web import access, htmx
from panel.web.auth.session import HOME, enter, open_session
from panel.web.setup.forms import SetupForm

bp = Blueprint("setup", __name__)


@bp.get("/setup")
@access.public
def show() -> Response:
    """The form, for who has the token; a page that helps, for everybody else."""
    token = request.args.get("token", "")
    if not setup_links.is_good(token):
        return _closed()
    return _page(SetupForm(), token)


@bp.post("/setup")
@access.public
def create() -> Response | BaseResponse:
    """Makes the administrator and logs them in."""
    token = request.form.get("token", "")
    if not setup_links.is_good(token):
        return _closed()
    form = SetupForm()
    if not form.validate_on_submit():
        return _page(form, token, 422)
    try:
        return _set_up(token, form)
    except Invalid as refusal:
        form.attach(refusal)
        return _page(form, token, 422)
    except NotFound:
        return _closed()


def _set_up(token: str, form: SetupForm) -> BaseResponse:
    credentials = user_credentials.prepare(form.username.data or "", form.password.data or "")
    with transaction():
        opened = open_session(setup_links.set_up(token, credentials), by=_("setup link"))
    setup_links.forget(current_app.config["WAYPOST"])
    response = enter(opened, HOME)
    htmx.toast(_("Welcome, %(username)s. This panel is yours.", username=opened.username))
    return response


def _page(form: SetupForm, token: str, status: int = 200) -> Response:
    return make_response(render_template("setup/show.html", form=form, token=token), status)


def _closed() -> Response:
    return make_response(render_template("setup/closed.html", is_set_up=setup_links.has_administrator()), 404)
