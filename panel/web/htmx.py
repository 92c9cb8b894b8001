"""What htmx needs of an answer: fragments, redirects and toasts.
May import: Flask."""

from __future__ import annotations

from typing import Any

from flask import Response, flash, get_flashed_messages, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.i18n import lazy_gettext


def is_htmx() -> bool:
    """Whether htmx asks (and swaps what comes), rather than the browser itself."""
    return request.headers.get("HX-Request") == "true"


def render(page: str, fragment: str, /, status: int = 200, **context: Any) -> Response:
    """The fragment for htmx, the page that includes it for everybody else. Toasts go with the fragment."""
    if not is_htmx():
        return make_response(render_template(page, **context), status)
    return make_response(render_template(fragment, **context) + toasts(), status)


def go(url: str) -> BaseResponse:
    """303 to `url` after a POST; for htmx a full navigation, so that a page never lands inside a page."""
    if is_htmx():
        return Response("", 200, {"HX-Redirect": url})
    return redirect(url, 303)


def toast(text: str, *, kind: str = "ok", undo_url: str = "", undo_label: str = lazy_gettext("Undo")) -> None:
    """Queues a toast for the next page or fragment. `kind` is ok, warn or bad; `undo_url` is POSTed to."""
    flash({"text": text, "undo_url": undo_url, "undo_label": undo_label}, kind)  # type: ignore[arg-type]


def queued_toasts() -> list[tuple[str, dict[str, str]]]:
    """The queued toasts as (kind, values), each given out once; plain flashes too."""
    pairs: list[tuple[str, Any]] = [*get_flashed_messages(with_categories=True)]
    return [(kind, value if isinstance(value, dict) else {"text": str(value)}) for kind, value in pairs]


def toasts() -> str:
    """The queued toasts as a partial that htmx adds to the page's corner; "" when there are none."""
    queued = queued_toasts()
    return render_template("components/_toasts.html", toasts=queued) if queued else ""
