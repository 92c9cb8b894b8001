"""One's own account: the password, the sessions, the sign-in by a provider.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, make_response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.config import Config
from panel.errors import Invalid
from panel.extensions import db, transaction
from panel.i18n import gettext as _
from panel.i18n import ngettext
from panel.models import User
from panel.services import accounts, browser_sessions, identities, user_credentials
from panel.web import access, htmx
from panel.web.account import proof, second_factor, view
from panel.web.account.forms import PasswordForm, ProofForm
from panel.web.auth.provider import allow_linking, provider_settings
from panel.web.auth.session import keep, open_session
from panel.web.live import registry

bp = Blueprint("account", __name__)

_FACTOR = "/account/second-factor"
bp.add_url_rule(_FACTOR, "second_factor", second_factor.show)
bp.add_url_rule(_FACTOR, "begin_second_factor", second_factor.begin, methods=["POST"])
bp.add_url_rule(f"{_FACTOR}/confirm", "confirm_second_factor", second_factor.confirm, methods=["POST"])
bp.add_url_rule(f"{_FACTOR}/recovery-codes", "recovery_codes", second_factor.renew_codes, methods=["POST"])
bp.add_url_rule(f"{_FACTOR}/turn-off", "turn_off_second_factor", second_factor.turn_off, methods=["POST"])


@bp.get("/account")
def show() -> Response:
    """Who one is here, where one is logged in, and how."""
    return _page(PasswordForm())


@bp.post("/account")
@access.open_to_viewers
def change_password() -> Response | BaseResponse:
    """A new password: all other sessions of this person end, this one goes on."""
    form, user = PasswordForm(), access.actor()
    status = proof.refusal_of(user, form)
    if status:
        return _page(form, status)
    try:
        _change(user.id, user.username, form.password.data or "")
    except Invalid as refusal:
        form.attach(refusal)
        return _page(form, 422)
    htmx.toast(_("Password changed. Your other sessions have ended."))
    return htmx.go("/account")


@bp.post("/account/sessions/<int:session_id>/end")
@access.open_to_viewers
def end_session(session_id: int) -> BaseResponse:
    """Logs one of the person's browsers out."""
    with transaction():
        browser_sessions.end(session_id, access.actor())
    htmx.toast(_("Session ended. That browser has to log in again."))
    return htmx.go("/account#sessions")


@bp.post("/account/sessions/end-others")
@access.open_to_viewers
def end_other_sessions() -> BaseResponse:
    """Logs out everywhere but here."""
    this_id = access.session_id()
    with transaction():
        count = browser_sessions.end_others(access.actor(), this_id)
    htmx.toast(ngettext("%(num)s other session ended.", "%(num)s other sessions ended.", count))
    return htmx.go("/account#sessions")


@bp.post("/account/shortcuts")
@access.open_to_viewers
def switch_shortcuts() -> BaseResponse:
    """Single keys do things, or nothing."""
    is_on = bool(request.form.get("shortcuts"))
    with transaction():
        accounts.switch_shortcuts(access.actor(), is_on=is_on)
    htmx.toast(_("Single-key shortcuts are on.") if is_on else _("Single-key shortcuts are off. Ctrl K still works."))
    return htmx.go("/account#keyboard")


@bp.post("/account/identities")
@access.open_to_viewers
def link_identity() -> Response:
    """Asks for the password; the answer leads on to the provider, by a link since forms stay on this site."""
    settings = provider_settings()
    form = ProofForm()
    status = proof.refusal_of(access.actor(), form)
    if status:
        return _page(PasswordForm(formdata=None), status, form)
    allow_linking()
    return make_response(render_template("account/link.html", provider=settings.name))


@bp.post("/account/identities/<int:identity_id>/unlink")
@access.open_to_viewers
def unlink_identity(identity_id: int) -> BaseResponse:
    """The provider lets this person in no more."""
    with transaction():
        identities.unlink(identity_id, access.actor())
    htmx.toast(_("Unlinked. From now on you log in with your password."))
    return htmx.go("/account#sign-in")


def _change(user_id: int, username: str, password: str) -> None:
    credentials = user_credentials.prepare(username, password)
    with transaction():
        user = db.session.get_one(User, user_id)
        accounts.change_password(user, credentials)
        opened = open_session(user, by=_("new password"), asks_for_code=False)
    keep(opened)


def _page(form: PasswordForm, status: int = 200, link_form: ProofForm | None = None) -> Response:
    user = access.actor()
    config: Config = current_app.config["WAYPOST"]
    values = {
        "sessions": view.sessions(user, access.session_id()),
        "identities": identities.list_for(user),
        "provider": config.oidc.name if config.oidc else "",
        "link_form": link_form or ProofForm(formdata=None),
    }
    return make_response(render_template("account/show.html", form=form, **values), status)


def _regions() -> dict[str, str]:
    """Regions for `/live?topics=account`: where the person is logged in."""
    sessions = view.sessions(access.actor(), access.session_id())
    return {"#sessions": render_template("account/_sessions.html", sessions=sessions)}


registry.register("account", _regions, news=("audit", "sessions"))
