"""What machines ask: is the panel well, what does it measure, and what does an agent need to join.
May import: panel.web, panel.pki, panel.config."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify, request

from panel import pki
from panel.config import Config
from panel.errors import NotFound
from panel.web.access import public
from panel.web.health import checks, scrape

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@public
def healthz() -> tuple[Response, int]:
    """200 when everything works, else 503; each part says "ok" or what is wrong with it."""
    parts = checks.check_all(current_app.config["WAYPOST"])
    is_well = all(words == checks.OK for words in parts.values())
    return jsonify(status="ok" if is_well else "unwell", **parts), 200 if is_well else 503


@bp.get("/metrics")
@public
def metrics() -> Response:
    """Numbers for Prometheus; for this machine, or with PANEL_METRICS_TOKEN as a bearer token."""
    return scrape.answer(request)


@bp.get("/.well-known/waypost")
@public
def well_known() -> Response:
    """The CA certificate, which an agent checks against its token's fingerprint, and where it can join."""
    config: Config = current_app.config["WAYPOST"]
    try:
        ca_pem = pki.read_ca_pem(config.pki_dir).decode()
    except pki.PkiError:
        raise NotFound("The panel has not been started yet. Start it, then ask again.") from None
    return jsonify(ca_pem=ca_pem, enroll_port=config.enroll_port)
