"""The start page, and the switches of theme and language.
May import: Flask, panel.i18n, panel.web."""

from __future__ import annotations

from collections.abc import Container

from flask import Blueprint, current_app, redirect, request
from werkzeug.wrappers import Response

from panel import i18n
from panel.config import Config
from panel.web import access, shell

bp = Blueprint("home", __name__)


@bp.get("/")
def index() -> Response:
    """Hosts are what people come for."""
    return redirect("/hosts")


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


def _path_of_referrer() -> str:
    referrer = request.referrer or ""
    return referrer.removeprefix(request.host_url.rstrip("/")) if referrer.startswith(request.host_url) else ""
