"""Logging in and out.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, make_response, redirect, render_template, request
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from panel import passwords
from panel.config import Config
from panel.errors import Throttled
from panel.extensions import transaction
from panel.i18n import lazy_gettext
from panel.models import User
from panel.services import logins, setup_links
from panel.web import access, device
from panel.web.auth import provider, second_step
from panel.web.auth.forms import LoginForm
from panel.web.auth.session import HOME, Opened, end_session, enter, open_session

bp = Blueprint("auth", __name__)

WRONG = lazy_gettext("The user name or the password is not right.")

bp.add_url_rule("/login/code", "code", second_step.show)
bp.add_url_rule("/login/code", "check_code", second_step.check, methods=["POST"])
bp.add_url_rule("/login/provider", "provider", provider.begin)
bp.add_url_rule("/login/provider/answer", "provider_answer", provider.finish)


@bp.get("/login")
@access.public
def login() -> Response | BaseResponse:
    """The form; who is logged in goes on."""
    if current_user.is_authenticated:
        return redirect(_next())
    return _page(LoginForm())


@bp.post("/login")
@access.public
def log_in() -> Response | BaseResponse:
    """One sentence for whatever is wrong, and a wait after several failures."""
    form = LoginForm()
    if not form.validate_on_submit():
        return _page(form, status=422)
    try:
        opened = _open(form.username.data or "", form.password.data or "")
    except Throttled as refusal:
        page = _page(form, refusal.message, refusal.status)
        page.headers["Retry-After"] = str(refusal.retry_after)
        return page
    return _page(form, WRONG, 422) if opened is None else enter(opened, _next())


@bp.post("/logout")
@access.open_to_viewers
def logout() -> BaseResponse:
    """Ends this session and no other."""
    end_session()
    return redirect("/login", 303)


def authenticate(username: str, password: str) -> User | None:
    """The person, or None. Counted first, and the hash is computed with no transaction open. Raises Throttled."""
    attempt, is_right = _try(username, password)
    with transaction():
        return logins.finish(attempt, is_right)


def _open(username: str, password: str) -> Opened | None:
    """A login, or None. The row is written together with the decision, so that a password changed meanwhile wins."""
    attempt, is_right = _try(username, password)
    with transaction():
        user = logins.finish(attempt, is_right)
        return None if user is None else open_session(user, by="password")


def _try(username: str, password: str) -> tuple[logins.Attempt, bool]:
    with transaction():
        attempt = logins.begin(username, device.place(username))
    return attempt, passwords.verify(attempt.password_hash, password)


def _next() -> str:
    return access.local_path(request.values.get("next", "")) or HOME


def _page(form: LoginForm, problem: str = "", status: int = 200) -> Response:
    config: Config = current_app.config["WAYPOST"]
    values = {
        "next": access.local_path(request.values.get("next", "")) or "",
        "is_set_up": setup_links.has_administrator(),
        "provider": config.oidc.name if config.oidc else "",
    }
    return make_response(render_template("auth/login.html", form=form, problem=problem, **values), status)
