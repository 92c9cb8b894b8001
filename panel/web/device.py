"""The device cookie: a browser that logged in before is told apart from strangers guessing at the same account.
May import: Flask, itsdangerous, panel.services.logins, panel.config."""

from __future__ import annotations

import secrets

from flask import Response, current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response as BaseResponse

from panel.config import Config
from panel.services.logins import Place

COOKIE = "waypost_device"
MAX_AGE = 180 * 86_400  # seconds


def place(username: str) -> Place:
    """Where this request comes from, with its device if that device has logged in as `username` before."""
    return Place(request.remote_addr or "", _device_of(username.strip().lower()))


def remember(response: Response | BaseResponse, username: str) -> None:
    """Gives the browser a device cookie for this account, signed and unreadable to scripts."""
    config: Config = current_app.config["WAYPOST"]
    device = _device_of(username) or secrets.token_urlsafe(16)
    value = _signer(config).dumps([device, username])
    response.set_cookie(COOKIE, value, MAX_AGE, path="/", httponly=True, samesite="Lax", secure=config.secure_cookies)


def _device_of(username: str) -> str:
    config: Config = current_app.config["WAYPOST"]
    try:
        value = _signer(config).loads(request.cookies.get(COOKIE, ""), max_age=MAX_AGE)
    except BadSignature:
        return ""
    is_for_user = isinstance(value, list) and len(value) == 2 and value[1] == username
    return str(value[0]) if is_for_user else ""


def _signer(config: Config) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(config.secret_key, salt="waypost-device")
