"""/live: one stream for a list page. It sends regions that changed, and the DOM event `news` at each change.
May import: Flask, panel.extensions, panel.web."""

from __future__ import annotations

import time
from collections.abc import Iterator

import gevent
from flask import Blueprint, Response, render_template, request
from flask_login import current_user

from panel.extensions import wakeups
from panel.web import sse
from panel.web.live.registry import register, renderer

bp = Blueprint("live", __name__)

COLLECT = 0.25  # seconds: a burst of news is one message
LIFETIME = 600.0  # seconds: then the browser comes back by itself


@bp.get("/live")
def stream() -> Response:
    """`topics` is a list with commas; unknown ones are ignored."""
    wanted = request.args.get("topics", "").split(",")[:8]
    topics = tuple(dict.fromkeys(topic for topic in wanted if renderer(topic)))
    connection = sse.Connection()
    return sse.stream(connection, _follow(connection, topics))


def _follow(connection: sse.Connection, topics: tuple[str, ...]) -> Iterator[str]:
    told: dict[str, str] = {}
    ends_at = time.monotonic() + LIFETIME
    with wakeups.subscribe(*topics) as news:
        while not (sse.is_stopping() or connection.has_left) and time.monotonic() < ends_at:
            news.clear()
            with connection.context():
                if not current_user.is_authenticated:
                    return
                regions = _render(topics)
            changed = "".join(sse.partial(name, html) for name, html in regions.items() if told.get(name) != html)
            told = regions
            yield sse.message(changed) if changed else sse.PING
            has_news = connection.wait(news)
            gevent.sleep(COLLECT)
            if has_news:
                yield sse.NEWS


def _render(topics: tuple[str, ...]) -> dict[str, str]:
    regions: dict[str, str] = {}
    for topic in topics:
        sse.breathe()
        render = renderer(topic)
        regions |= render() if render else {}
    return regions


def _job_pill() -> dict[str, str]:
    return {"#job-pill": render_template("jobs/_pill.html")}


register("jobs", _job_pill)
