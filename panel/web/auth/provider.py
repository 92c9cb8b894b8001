"""Signing in through an OpenID provider, and linking a provider's person to the one who is logged in.
May import: Flask, panel.oidc, panel.web, panel.services and below."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import current_app, make_response, redirect, render_template, request, session, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from panel.config import Config, OidcSettings
from panel.errors import NotFound, PanelError
from panel.extensions import db, transaction
from panel.i18n import gettext as _
from panel.models import User
from panel.oidc import OidcError, Pending, Person
from panel.services import identities
from panel.web import access, htmx
from panel.web.auth.session import HOME, enter, open_session

if TYPE_CHECKING:
    from panel.oidc.provider import Provider

WITHIN = 600.0  # seconds that a person may be at the provider
ACCOUNT = "/account#sign-in"
_KEPT = "provider"  # in the cookie
_MAY_LINK = "may_link"  # in the cookie: until when, after the password was asked for


@access.public
def begin() -> BaseResponse:
    """To the provider. Nothing changes here before the person comes back."""
    settings = provider_settings()
    links = _may_link()
    if current_user.is_authenticated and not links:
        return redirect(access.local_path(request.args.get("next", "")) or HOME)
    try:
        url, pending = _provider(settings).begin()
    except OidcError as error:
        return _refused(str(error), 502)
    wanted = access.local_path(request.args.get("next", "")) or ""
    session[_KEPT] = {**pending.as_dict(), "next": wanted, "links": links, "until": time.time() + WITHIN}
    return redirect(url, 302)


@access.public
def finish() -> BaseResponse:
    """Back from the provider: logs the person in, or links the two."""
    settings = provider_settings()
    kept = session.pop(_KEPT, None)
    if not isinstance(kept, dict) or kept["until"] < time.time():
        return _refused(_("This sign-in was begun in another window or too long ago. Begin it again."), 400)
    pending = Pending(kept["state"], kept["nonce"], kept["verifier"])
    try:
        person = _provider(settings).finish(request.args, pending)
        return _link(person) if kept["links"] else _log_in(person, settings, kept["next"])
    except OidcError as error:
        return _refused(str(error), 400)
    except PanelError as refusal:
        return _refused(refusal.message, refusal.status)


def allow_linking() -> None:
    """For a few minutes, after the person has proved by the password who they are."""
    session[_MAY_LINK] = time.time() + WITHIN


def provider_settings() -> OidcSettings:
    """Raises NotFound when this panel has no provider."""
    config: Config = current_app.config["WAYPOST"]
    if config.oidc is None:
        raise NotFound(_("This panel has no sign-in by a provider. Log in with your password."))
    return config.oidc


def _log_in(person: Person, settings: OidcSettings, wanted: str) -> BaseResponse:
    with transaction():
        opened = open_session(identities.sign_in(person, settings), by="provider")
    return enter(opened, wanted)


def _link(person: Person) -> BaseResponse:
    if not current_user.is_authenticated or not _may_link():
        return _refused(_("You are not logged in any more. Log in with your password and link again."), 400)
    user_id = access.actor().id
    with transaction():
        identities.link(db.session.get_one(User, user_id), person)
    session.pop(_MAY_LINK, None)
    htmx.toast(_("Linked. You can log in as %(label)s from now on.", label=person.label))
    return redirect(ACCOUNT)


def _may_link() -> bool:
    until = session.get(_MAY_LINK, 0.0)
    return bool(current_user.is_authenticated) and isinstance(until, float) and until > time.time()


def _provider(settings: OidcSettings) -> Provider:
    from panel.oidc.provider import provider  # noqa: PLC0415 - 15 MB that few panels need

    return provider(settings)


def _refused(sentence: str, status: int) -> BaseResponse:
    back = ACCOUNT if current_user.is_authenticated else url_for("auth.login")
    name = provider_settings().name
    return make_response(render_template("auth/refused.html", sentence=sentence, back=back, provider=name), status)
