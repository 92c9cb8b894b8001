"""Who may open what: closed by default, opened by a mark on the view; sessions and roles.
May import: Flask, Flask-Login, panel.services, panel.models, panel.errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, current_app, g, redirect, request, session, url_for
from flask_login import current_user
from sqlalchemy.exc import OperationalError
from werkzeug.wrappers import Response

from panel.errors import Forbidden
from panel.extensions import login_manager, transaction
from panel.i18n import gettext as _
from panel.models import BrowserSession, User
from panel.models.types import utcnow
from panel.services import browser_sessions, context
from panel.services.browser_sessions import Visit

log = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])

SESSION_KEY = "key"  # in the cookie: what the row of the login has the hash of

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_public_views: set[Callable[..., Any]] = set()
_views_for_viewers: set[Callable[..., Any]] = set()
_views_for_administrators: set[Callable[..., Any]] = set()


def public(view: View) -> View:
    """Mark of a view that anonymous people may open. Goes below the route decorator."""
    _public_views.add(view)
    return view


def open_to_viewers(view: View) -> View:
    """Mark of a view whose POST changes only the person's own things, so that viewers may send it."""
    _views_for_viewers.add(view)
    return view


def administrators_only(view: View) -> View:
    """Mark of a view that only administrators may open, also by GET."""
    _views_for_administrators.add(view)
    return view


def actor() -> User:
    """The person behind this request, as services take it. Only in views that are not public."""
    user: User = current_user._get_current_object()  # noqa: SLF001 - services must not hold a proxy of the request
    return user


def register(app: Flask) -> None:
    """Connects Flask-Login and guards every request."""
    login_manager.session_protection = None  # addresses change on phones; each login has a row instead
    login_manager.user_loader(load_user)
    login_manager.unauthorized_handler(ask_to_log_in)
    app.before_request(_note_origin)
    app.before_request(_guard)
    app.teardown_request(_forget_origin)


def load_user(user_id: str) -> User | None:
    """The person of a session, or None when it was ended: there is no row of that key any more."""
    login = browser_sessions.find(session.get(SESSION_KEY, ""), utcnow())
    if login is None or str(login.user.id) != user_id:
        return None
    g.browser_session = login.session
    return login.user


def session_id() -> int:
    """The id of the login that this request uses. Only in views that are not public."""
    return this_session().id


def this_session() -> BrowserSession:
    """The login that this request uses. Only in views that are not public."""
    current_user.get_id()  # loads it
    found: BrowserSession = g.browser_session
    return found


def visit() -> Visit:
    """Where this request comes from."""
    return Visit(request.remote_addr or "", request.user_agent.string)


def ask_to_log_in() -> Response:
    """To the login page and back; 401 for htmx and streams, which would swap the login page into a corner."""
    is_htmx = "HX-Request" in request.headers
    if is_htmx or "text/event-stream" in request.headers.get("Accept", ""):
        headers = {"HX-Redirect": _login_url(_page_of_htmx())} if is_htmx else {}
        return Response("Log in again.\n", 401, headers, mimetype="text/plain")
    return redirect(_login_url(request.full_path.rstrip("?") if request.method == "GET" else ""))


def local_path(target: str) -> str | None:
    """`target` when it is a path of this site that no browser reads as another host, else None."""
    if not target.startswith("/") or len(target) > 2000 or "\\" in target or not target.isprintable():
        return None
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or target.startswith("//") or parts.path.lower().startswith(("/%2f", "/%5c")):
        return None
    return target


def _login_url(wanted: str) -> str:
    return url_for("auth.login", next=wanted if local_path(wanted) and wanted != "/" else None)


def _page_of_htmx() -> str:
    """The page that the person sees while htmx asks for a part of it."""
    current = urlsplit(request.headers.get("HX-Current-URL", ""))
    return f"{current.path}?{current.query}" if current.query else current.path


def _note_origin() -> None:
    context.set_origin(request.remote_addr or context.PANEL)


def _forget_origin(_error: BaseException | None) -> None:
    context.set_origin(context.PANEL)


def _guard() -> Response | None:
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or view in _public_views or request.endpoint == "static":
        return None
    if not current_user.is_authenticated:
        return ask_to_log_in()
    _check_role(view)
    _note_visit()
    return None


def _note_visit() -> None:
    """Writes when the login was used; when the database takes no writing now, that is worth no failed page."""
    login, now = this_session(), utcnow()
    if not browser_sessions.is_due(login, now):
        return
    login_id, where = login.id, visit()
    try:
        with transaction():
            browser_sessions.seen(login_id, where, now)
    except OperationalError as error:
        log.warning("the last visit of a session was not written: %s", error.orig)


def _check_role(view: Callable[..., Any]) -> None:
    if view in _views_for_administrators and not current_user.may_administer:
        raise Forbidden(_("Only administrators may do this. Ask one of them."))
    changes = request.method not in _SAFE_METHODS and view not in _views_for_viewers
    if changes and not current_user.may_edit:
        raise Forbidden(_("Your role lets you look, not change. Ask an administrator for the operator role."))
