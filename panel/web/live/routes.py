"""/live: one stream per page. It sends regions that changed, and the DOM event `news` when the page's own topics did.
May import: Flask, panel.extensions, panel.web."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import gevent
from flask import Blueprint, Response, request
from flask_login import current_user

from panel.extensions import wakeups
from panel.web import shell, sse
from panel.web.live import registry
from panel.web.live.registry import Topic
from panel.web.shown import Client

bp = Blueprint("live", __name__)

COLLECT = 0.25  # seconds: a burst of news is one message
LIFETIME = 600.0  # seconds: then the browser comes back by itself


@bp.get("/live")
def stream() -> Response:
    """`topics` is a list with commas; unknown ones are ignored. What surrounds every page comes with all of them.

    `seen` is what the page shows; after a reconnect, what the last message said.
    """
    wanted = request.args.get("topics", "").split(",")[:8]
    found = (registry.find(name) for name in dict.fromkeys(wanted))
    client = Client(request.headers.get("Last-Event-ID") or request.args.get("seen", ""))
    connection = sse.Connection()
    return sse.stream(connection, _follow(connection, [topic for topic in found if topic], client))


def _follow(connection: sse.Connection, topics: Sequence[Topic], client: Client) -> Iterator[str]:
    ends_at = time.monotonic() + LIFETIME
    own_news = {news for topic in topics for news in topic.news}
    with wakeups.subscribe(*own_news) as own, wakeups.subscribe(*own_news, *shell.NEWS) as news:
        is_own = True
        if client.has_missed(own_news):
            yield sse.NEWS
        while not (sse.is_stopping() or connection.has_left) and time.monotonic() < ends_at:
            news.clear()
            own.clear()
            client.read()
            with connection.context():
                if not current_user.is_authenticated:
                    return
                changed = client.catch_up(shell.regions() | (_render(topics) if is_own else {}))
            yield sse.message(changed, cursor=client.state) if changed else sse.PING
            has_news = connection.wait(news)
            gevent.sleep(COLLECT)
            # Time makes news too: who was silent for too long is told about at the next ping.
            is_own = own.is_set() or not has_news
            if own.is_set():
                yield sse.NEWS


def _render(topics: Sequence[Topic]) -> dict[str, str]:
    regions: dict[str, str] = {}
    for topic in topics:
        sse.breathe()
        regions |= topic.render()
    return regions


# Lists of jobs ask again at its news; what it shows everywhere belongs to the shell.
registry.register("jobs", dict)
