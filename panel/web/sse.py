"""Server-sent events: framing, waiting without holding anything, ending when the panel stops.
May import: Flask, gevent, panel.extensions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from flask import Flask, Response, current_app, g, request
from gevent.event import Event

from panel.extensions import stopping

PING_INTERVAL = 15.0  # seconds: a write to a dead client is how its end is noticed
PING = ": ping\n\n"
DONE = "event: done\ndata: ok\n\n"
NEWS = "event: news\ndata: ok\n\n"


class Connection:
    """One open stream. It holds no context: each message opens a fresh one and sees the session as it is then."""

    def __init__(self) -> None:
        self._app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - outlives it
        self._environ = request.environ
        self._csrf_token = ""

    @contextmanager
    def context(self) -> Iterator[None]:
        """A context for one message, with the person of the stream's request; its database session ends with it.

        One CSRF token serves the whole stream, so that a form is not news each time it is rendered.
        """
        with self._app.request_context(self._environ):
            if self._csrf_token:
                g.csrf_token = self._csrf_token
            yield
            self._csrf_token = g.get("csrf_token", "")


def message(html: str, *, cursor: int | None = None) -> str:
    """One unnamed message that htmx swaps. `cursor` comes back as Last-Event-ID after a reconnect."""
    head = "" if cursor is None else f"id: {cursor}\n"
    return head + "".join(f"data: {line}\n" for line in html.splitlines() if line.strip()) + "\n"


def partial(target: str, html: str, swap: str = "innerMorph") -> str:
    """One region's new content, beside the main swap."""
    return f'<hx-partial hx-target="{target}" hx-swap="{swap}">{html}</hx-partial>'


def wait(news: Event, timeout: float = PING_INTERVAL) -> bool:
    """Waits for news or the panel's stop; False when the time passed without either."""
    return bool(gevent.wait([news, stopping], timeout=timeout, count=1))


def is_stopping() -> bool:
    """Whether streams must end now."""
    return stopping.is_set()


def stream(chunks: Iterator[str]) -> Response:
    """The answer around a generator. The generator opens an app context per message and holds no session."""
    response = Response(chunks, mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def last_event_id(value: str | None) -> int:
    """The cursor a client comes back with; 0 for anything that is not one."""
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
