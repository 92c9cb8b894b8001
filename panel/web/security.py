"""What every answer carries against hostile pages: headers and cookies.
May import: Flask, panel.config."""

from __future__ import annotations

from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from panel.config import Config

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types htmx"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# What may be opened as a page; a stream of events never is.
_OF_PAGES = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "same-origin",  # the setup link's token stays here; CSRF over TLS needs the rest
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def register(app: Flask) -> None:
    """Puts the headers on every answer; cookies are set up in panel.app."""
    config: Config = app.config["WAYPOST"]
    # Not renewed by every answer: a cookie that a late stream or picture sets would undo a logout.
    app.config.update(SESSION_REFRESH_EACH_REQUEST=False, MAX_FORM_PARTS=2000)
    if config.trusted_proxies:
        hops = config.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    app.after_request(_protect)


def _protect(response: Response) -> Response:
    is_stream = response.mimetype == "text/event-stream"
    for name, value in (_HEADERS if is_stream else _HEADERS | _OF_PAGES).items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    if "request_id" in g:
        response.headers.setdefault("X-Request-Id", g.request_id)
    if request.endpoint != "static":
        response.vary.add("HX-Request")
    return response
