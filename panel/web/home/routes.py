"""The overview, its first steps, and the switches of theme and language.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Container

from flask import Blueprint, current_app, redirect, render_template, request
from werkzeug.wrappers import Response

from panel import i18n
from panel.config import Config
from panel.extensions import db, transaction
from panel.i18n import gettext as _
from panel.models import User
from panel.services import checklist
from panel.web import access, htmx, shell
from panel.web.home import page
from panel.web.live import registry

bp = Blueprint("home", __name__)
registry.register("overview", page.regions, news=page.NEWS)


@bp.get("/")
def index() -> str:
    """What needs a person first, then how everything stands."""
    return render_template("overview/index.html", **page.values())


@bp.post("/first-steps/hide")
@access.open_to_viewers
def hide_first_steps() -> Response:
    """Puts the first steps away for this person."""
    _set_hidden(is_hidden=True)
    htmx.toast(_("First steps hidden."), undo_url="/first-steps/show")
    return htmx.go("/")


@bp.post("/first-steps/show")
@access.open_to_viewers
def show_first_steps() -> Response:
    """Shows them again."""
    _set_hidden(is_hidden=False)
    return htmx.go("/")


@bp.post("/theme")
@access.public
def set_theme() -> Response:
    """Remembers light or dark in this browser, also without JavaScript."""
    return _remember("theme", request.form.get("theme", ""), shell.THEMES)


@bp.post("/language")
@access.public
def set_language() -> Response:
    """Remembers the language of the interface in this browser."""
    return _remember(i18n.COOKIE, request.form.get("language", ""), i18n.LANGUAGES)


def _remember(cookie: str, value: str, allowed: Container[str]) -> Response:
    """Back to where the button was, with what was chosen there; for a year."""
    config: Config = current_app.config["WAYPOST"]
    response = redirect(access.local_path(_path_of_referrer()) or "/", 303)
    if value in allowed:
        response.set_cookie(cookie, value, 31_536_000, samesite="Lax", secure=config.secure_cookies)
    return response


def _set_hidden(*, is_hidden: bool) -> None:
    user_id = access.actor().id
    with transaction():
        checklist.set_hidden(db.session.get_one(User, user_id), is_hidden=is_hidden)


def _path_of_referrer() -> str:
    referrer = request.referrer or ""
    return referrer.removeprefix(request.host_url.rstrip("/")) if referrer.startswith(request.host_url) else ""
