"""What Prometheus reads, and who may read it: this machine itself, or whoever has the token.
May import: Flask, prometheus_client, panel.services, panel.config, panel.metrics."""

from __future__ import annotations

import hmac
import ipaddress

from flask import Request, Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from panel import metrics
from panel.config import Config
from panel.models.types import utcnow
from panel.services import agents, measures

# A proxy on this machine connects from loopback too; what it passes on comes from elsewhere.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


def answer(request: Request) -> Response:
    """All numbers, or why not."""
    config: Config = current_app.config["WAYPOST"]
    if config.metrics_token:
        if not _has_token(request, config.metrics_token):
            sentence = "Send PANEL_METRICS_TOKEN as a bearer token.\n"
            return Response(sentence, 401, {"WWW-Authenticate": "Bearer"}, mimetype="text/plain")
    elif not _is_local(request):
        sentence = "Only this machine may read metrics. Set PANEL_METRICS_TOKEN to read them from elsewhere.\n"
        return Response(sentence, 403, mimetype="text/plain")
    measures.show(measures.take_tally(), agents.statuses(utcnow(), config).values())
    return Response(
        generate_latest(metrics.registry), headers={"Cache-Control": "no-store"}, content_type=CONTENT_TYPE_LATEST
    )


def _has_token(request: Request, token: str) -> bool:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(value.strip().encode(), token.encode())


def _is_local(request: Request) -> bool:
    """Whether a program on this machine asks: by its address, and by a name that leads nowhere else."""
    if any(name in request.headers for name in FORWARDED):
        return False
    host = request.host.rpartition(":")[0] or request.host
    return _is_loopback(request.remote_addr or "") and (host == "localhost" or _is_loopback(host.strip("[]")))


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False
