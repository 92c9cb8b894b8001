"""What machines ask: is the panel well, and what does an agent need to join.
May import: panel.web.access, panel.pki, panel.extensions, panel.models, panel.config."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from panel import pki
from panel.config import Config
from panel.errors import NotFound
from panel.extensions import db, vitals
from panel.models.types import utcnow
from panel.web.access import public

bp = Blueprint("health", __name__)

CLOCK_LIMIT = timedelta(seconds=15)


@bp.get("/healthz")
@public
def healthz() -> tuple[Response, int]:
    """200 when everything works, else 503; each part says "ok" or what is wrong with it."""
    parts = {"database": _database(), "stream_server": _stream_server(), "clock": _clock()}
    is_well = all(state == "ok" for state in parts.values())
    return jsonify(status="ok" if is_well else "unwell", **parts), 200 if is_well else 503


@bp.get("/.well-known/waypost")
@public
def well_known() -> Response:
    """The CA certificate, which an agent checks against its token's fingerprint, and where it can join."""
    config: Config = current_app.config["WAYPOST"]
    try:
        ca_pem = pki.read_ca_pem(config.pki_dir).decode()
    except pki.PkiError:
        raise NotFound("The panel has not been started yet.") from None
    return jsonify(ca_pem=ca_pem, enroll_port=config.enroll_port)


def _database() -> str:
    try:
        db.session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        current_app.logger.warning("the database does not answer: %s", error)
        return "does not answer"
    return "ok"


def _stream_server() -> str:
    return "ok" if vitals.is_stream_listening else "not listening for agents"


def _clock() -> str:
    if vitals.clock_ticked_at is None:
        return "has not started"
    silence = utcnow() - vitals.clock_ticked_at
    return "ok" if silence <= CLOCK_LIMIT else f"stands still for {silence.total_seconds():.0f} s"
