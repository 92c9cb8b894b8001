"""How long requests take until their answer begins, by route.
May import: Flask, panel.metrics."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from panel import metrics


def register(app: Flask) -> None:
    """Times every request. What has no route is counted as one, whatever was asked."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.began_at = time.perf_counter()


def _end(response: Response) -> Response:
    began_at = g.pop("began_at", None)
    if began_at is not None:
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.url_rule else "any"
        metrics.request_time.labels(method, route, response.status_code).observe(time.perf_counter() - began_at)
    return response
