"""The second step of logging in: whoever gave the right password gets here, and nowhere else.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from flask import Response, make_response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Conflict, Throttled
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import User
from panel.models.types import utcnow
from panel.services import browser_sessions, logins, second_factors
from panel.web import access, device, htmx
from panel.web.auth.forms import CodeForm
from panel.web.auth.session import HOME, Opened, enter, open_session

WRONG = lazy_gettext("This code is not right, or it was used already. Take the one that the app shows now.")


@access.public
def show() -> Response | BaseResponse:
    """The question for the code, for who has just given the password."""
    return _page(CodeForm()) if _person() else _begin_again()


@access.public
def check() -> Response | BaseResponse:
    """Goes on with the right code. A wrong one counts, and waits like a wrong password."""
    user, form = _person(), CodeForm()
    if user is None:
        return _begin_again()
    if not form.validate_on_submit():
        return _page(form, status=422)
    try:
        entered = _open(user, form.code.data or "")
    except Throttled as refusal:
        page = _page(form, refusal.message, refusal.status)
        page.headers["Retry-After"] = str(refusal.retry_after)
        return page
    except Conflict as refusal:
        return _page(form, refusal.message, refusal.status)
    if entered is None:
        return _page(form, WRONG, 422)
    opened, codes_left = entered
    response = enter(opened, _next())
    if codes_left is not None:
        htmx.toast(
            _("That recovery code is used up. You have %(codes_left)s left.", codes_left=codes_left), kind="warn"
        )
    return response


def _open(user: User, code: str) -> tuple[Opened, int | None] | None:
    """The login and, when a recovery code was used, how many are left; None for a wrong code. Counted first.

    The half-way login is looked up again, since it may have been ended meanwhile.
    """
    with transaction():
        keys = logins.begin_code(user, device.place(user.username))
    with transaction():
        waiting = _person()
        proof = second_factors.check(waiting, code) if waiting else None
        if waiting is None:
            return None
        if proof is None:
            logins.refuse_code(waiting)
            return None
        logins.finish_code(keys)
        left = second_factors.codes_left(waiting) if proof is second_factors.Proof.RECOVERY else None
        return open_session(waiting, by=proof, asks_for_code=False), left


def _person() -> User | None:
    login = browser_sessions.find(session.get(access.SESSION_KEY, ""), utcnow(), awaits_code=True)
    return login.user if login else None


def _next() -> str:
    return access.local_path(request.values.get("next", "")) or HOME


def _begin_again() -> BaseResponse:
    wanted = _next()
    return redirect(url_for("auth.login", next=wanted if wanted != HOME else None), 303)


def _page(form: CodeForm, problem: str = "", status: int = 200) -> Response:
    wanted = access.local_path(request.values.get("next", "")) or ""
    return make_response(render_template("auth/code.html", form=form, problem=problem, next=wanted), status)
