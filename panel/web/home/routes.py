"""The start page and the theme switch.
May import: Flask, panel.web."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, request
from werkzeug.wrappers import Response

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
    config: Config = current_app.config["WAYPOST"]
    came_from = access.local_path(_path_of_referrer()) or "/"
    response = redirect(came_from, 303)
    theme = request.form.get("theme", "")
    if theme in shell.THEMES:
        response.set_cookie("theme", theme, 31_536_000, samesite="Lax", secure=config.secure_cookies)
    return response


def _path_of_referrer() -> str:
    referrer = request.referrer or ""
    return referrer.removeprefix(request.host_url.rstrip("/")) if referrer.startswith(request.host_url) else ""
