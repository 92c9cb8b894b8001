"""The settings: authorities to order from, credentials for DNS challenges, the panel as a host.
May import: Flask, panel.web.settings."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from panel.web.settings import authorities, dns, publishing

bp = Blueprint("settings", __name__)

_BOTH = ["GET", "POST"]
bp.add_url_rule("/settings/authorities", "authorities", authorities.index)
bp.add_url_rule("/settings/authorities/new", "authority_create", authorities.create, methods=_BOTH)
bp.add_url_rule("/settings/authorities/fallbacks", "fallbacks", authorities.set_fallbacks, methods=["POST"])
bp.add_url_rule("/settings/authorities/<int:authority_id>", "authority_edit", authorities.edit, methods=_BOTH)
bp.add_url_rule(
    "/settings/authorities/<int:authority_id>/default", "authority_default", authorities.set_default, methods=["POST"]
)
bp.add_url_rule(
    "/settings/authorities/<int:authority_id>/delete", "authority_delete", authorities.delete, methods=["POST"]
)
bp.add_url_rule("/settings/dns", "dns", dns.index)
bp.add_url_rule("/settings/dns/new", "dns_create", dns.create, methods=_BOTH)
bp.add_url_rule("/settings/dns/<int:credential_id>", "dns_edit", dns.edit, methods=_BOTH)
bp.add_url_rule("/settings/dns/<int:credential_id>/test", "dns_test", dns.test, methods=["POST"])
bp.add_url_rule("/settings/dns/<int:credential_id>/delete", "dns_delete", dns.delete, methods=["POST"])
bp.add_url_rule("/settings/publish", "publish", publishing.show)
bp.add_url_rule("/settings/publish", "publish_create", publishing.create, methods=["POST"])


@bp.get("/settings")
def index() -> BaseResponse:
    """The first of the settings' pages."""
    return redirect(url_for("settings.authorities"))
