"""Errors as pages that help, in the shell; as toasts for htmx.
May import: Flask, panel.errors, panel.web.htmx."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, flash, g, make_response, render_template, request
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from panel.errors import PanelError, Throttled
from panel.extensions import db
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.web import htmx

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ErrorText:
    """What an error page says: what happened, and what to do next."""

    title: str
    advice: str


_TEXTS = {
    400: ErrorText(
        lazy_gettext("This request was not understood"), lazy_gettext("Go back, reload the page and try again.")
    ),
    401: ErrorText(lazy_gettext("Log in again"), lazy_gettext("Your session has ended.")),
    403: ErrorText(
        lazy_gettext("Not allowed"), lazy_gettext("Ask an administrator of this panel for the role that may do this.")
    ),
    404: ErrorText(
        lazy_gettext("There is nothing here"),
        lazy_gettext("The address may be mistyped, or what it named was deleted. The lists show what exists."),
    ),
    405: ErrorText(
        lazy_gettext("This address cannot be opened like that"),
        lazy_gettext("Use the buttons on the page instead of the address."),
    ),
    409: ErrorText(
        lazy_gettext("This was changed meanwhile"),
        lazy_gettext("Go back, reload the page and look at it as it is now."),
    ),
    413: ErrorText(
        lazy_gettext("That was too much at once"), lazy_gettext("Shorten the text, or send fewer entries in one go.")
    ),
    422: ErrorText(lazy_gettext("A value was refused"), lazy_gettext("Go back and correct it.")),
    429: ErrorText(lazy_gettext("Too many attempts"), lazy_gettext("Wait a moment, then try again.")),
    500: ErrorText(
        lazy_gettext("The panel has failed at this"),
        lazy_gettext(
            "Nothing was changed by this request. What nginx serves is not affected. Try "
            "again; if it happens again, search the panel's log for the request id below."
        ),
    ),
}


def register(app: Flask) -> None:
    """Names each request and catches what views raise."""
    app.before_request(_name_request)
    app.register_error_handler(PanelError, _refused)
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _crashed)


def _name_request() -> None:
    g.request_id = secrets.token_hex(8)


def _refused(error: PanelError) -> Response:
    response = answer(error.status, error.message)
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _forged(_error: CSRFError) -> Response:
    sentence = _("The page was open for too long, or the request came from another page, so it was not carried out.")
    return answer(400, sentence)


def _http_error(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < 400:
        return error
    response = answer(error.code, "")
    for name in ("Allow", "Retry-After"):
        values = error.get_headers(request.environ) if error.response is None else []
        response.headers.extend([(key, value) for key, value in values if key == name])
    return response


def _crashed(error: Exception) -> Response:
    """The boundary of a request: logged with its id, never shown."""
    log.error("request %s failed: %s %r", g.get("request_id", "-"), request.method, request.path, exc_info=error)
    db.session.rollback()
    return answer(500, "")


def answer(status: int, sentence: str) -> Response:
    """The error as a page, or for htmx as a toast that leaves the page alone."""
    text = _TEXTS.get(status) or _TEXTS[500 if status >= 500 else 400]
    if htmx.is_htmx():
        flash(sentence or f"{text.title}.", "bad")
        return make_response(htmx.toasts(), status, {"HX-Reswap": "none"})
    return make_response(render_template(_template(), **_context(status, sentence, text)), status)


def _template() -> str:
    return "errors/error.html" if current_user.is_authenticated else "errors/bare.html"


def _context(status: int, sentence: str, text: ErrorText) -> dict[str, Any]:
    return {"status": status, "sentence": sentence, "text": text, "request_id": g.get("request_id", "")}
