"""Server-sent events: framing, one message at a time, waiting without holding anything, limits, the end.
May import: Flask, gevent, panel.extensions, panel.errors, panel.metrics."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import gevent
from flask import Flask, Response, current_app, request
from flask_login import current_user
from gevent.event import Event
from gevent.lock import RLock

from panel import metrics
from panel.errors import Throttled
from panel.extensions import stopping

PING_INTERVAL = 15.0  # seconds: a write to a dead client is how its end is noticed
PING = ": ping\n\n"
DONE = "event: done\ndata: ok\n\n"
NEWS = "event: news\ndata: ok\n\n"


MOST_PER_PERSON = 30  # live pages; browsers let go of those in the background
MOST = 1000  # half of all connections, so that pages are answered whatever streams do
SOCKET = "waypost.socket"  # in the environment of a request: its connection
STUCK = "waypost.stuck"  # set in the environment of a request whose client takes nothing any more


class _Turns:
    """Streams are rendered one after the other and at most half of the time: pages and agents come first.

    Whoever waits for a turn misses nothing, because it renders what is true when the turn comes.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._free_at = 0.0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Waits for a turn and holds it."""
        with self._lock:
            gevent.sleep(max(0.0, self._free_at - time.monotonic()))
            began_at = time.monotonic()
            try:
                yield
            finally:
                now = time.monotonic()
                self._free_at = now + (now - began_at)


_turns = _Turns()
_open: Counter[str] = Counter()


class Connection:
    """One open stream. It holds no context: each message opens a fresh one and sees the session as it is then."""

    def __init__(self) -> None:
        self._app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - outlives it
        self._environ = request.environ
        self._socket: socket.socket | None = request.environ.get(SOCKET)
        self.has_left = False

    def wait(self, news: Event, timeout: float = PING_INTERVAL) -> bool:
        """Waits for news, the panel's stop or the client's leaving; False when the time passed without any."""
        left = Event()
        with self._watch(left):
            happened = bool(gevent.wait([news, stopping, left], timeout=timeout, count=1))
        if left.is_set() and self._socket is not None:
            try:
                self.has_left = not self._socket.recv(1, socket.MSG_PEEK)
            except OSError:
                self.has_left = True
            self._socket = None  # what it says instead of leaving is read after the answer
        return happened

    @contextmanager
    def _watch(self, left: Event) -> Iterator[None]:
        """Sets `left` when the client closes its end: people who click fast would leave many streams behind."""
        if self._socket is None:
            yield
            return
        watcher = gevent.get_hub().loop.io(self._socket.fileno(), 1)
        watcher.start(left.set)
        try:
            yield
        finally:
            watcher.stop()
            watcher.close()

    @contextmanager
    def context(self) -> Iterator[None]:
        """A context for one message, with the person of the stream's request; its database session ends with it."""
        with _turns.take(), self._app.request_context(self._environ):
            yield


def message(html: str, *, cursor: int | str | None = None) -> str:
    """One unnamed message that htmx swaps. `cursor` comes back as Last-Event-ID after a reconnect."""
    head = "" if cursor is None else f"id: {cursor}\n"
    return head + "".join(f"data: {line}\n" for line in html.splitlines() if line.strip()) + "\n"


def partial(target: str, html: str, swap: str = "innerMorph") -> str:
    """One region's new content, beside the main swap."""
    return f'<hx-partial hx-target="{target}" hx-swap="{swap}">{html}</hx-partial>'


def breathe() -> None:
    """Called between the parts of a long message, so that nobody waits for all of it. Not in a transaction."""
    gevent.sleep(0)


def is_stopping() -> bool:
    """Whether streams must end now."""
    return stopping.is_set()


def stream(connection: Connection, chunks: Iterator[str]) -> Response:
    """The answer around a generator, which opens a context per message and holds no session.

    Nothing is queued for a client: the next message is made when the one before was taken. Raises Throttled when the
    person, or everybody together, has too many streams open.
    """
    owner = str(current_user.get_id())
    if _open[owner] >= MOST_PER_PERSON:
        metrics.browser_streams_ended.labels("refused").inc()
        sentence = f"You have {MOST_PER_PERSON} live pages open. This one does not update itself: close some others."
        raise Throttled(sentence, 60)
    if _open.total() >= MOST:
        metrics.browser_streams_ended.labels("refused").inc()
        raise Throttled(
            "Too many live pages are open. This one does not update itself for now. Close some of them, or reload it.",
            60,
        )
    response = Response(_Stream(connection, chunks, owner), mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


class _Stream:
    """The chunks of one answer, counted until it is closed, also when it never began."""

    def __init__(self, connection: Connection, chunks: Iterator[str], owner: str) -> None:
        self._connection = connection
        self._chunks = chunks
        self._owner = owner
        self._environ = request.environ
        self._has_ended = self._is_closed = False
        _open[owner] += 1
        metrics.browser_streams.inc()

    def __iter__(self) -> Iterator[str]:
        """Passes the chunks on, one at a time."""
        yield from self._chunks
        self._has_ended = True

    def close(self) -> None:
        """Called by the server when the answer is over, for whatever reason."""
        if self._is_closed:
            return
        self._is_closed = True
        if isinstance(self._chunks, Generator):
            self._chunks.close()
        _open[self._owner] -= 1
        if not _open[self._owner]:
            del _open[self._owner]
        metrics.browser_streams.dec()
        metrics.browser_streams_ended.labels(self._how_it_ended()).inc()

    def _how_it_ended(self) -> str:
        if self._environ.get(STUCK):
            return "slow"
        return "over" if self._has_ended and not self._connection.has_left else "gone"


def last_event_id(value: str | None) -> int:
    """The cursor a client comes back with; 0 for anything that is not one."""
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
