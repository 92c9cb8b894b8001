"""The certificates pages: the list, one certificate's page and the buttons that act on it.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Invalid
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.i18n import plural
from panel.models import Certificate, Command, User
from panel.nginx.grammar import display_name
from panel.services import certificates, proxy_hosts
from panel.web import htmx
from panel.web.access import actor
from panel.web.audit import offer
from panel.web.certificates import bulk, live, page, requesting, uploading
from panel.web.certificates.forms import number
from panel.web.live import registry

bp = Blueprint("certificates", __name__)
registry.register("certificates", live.regions, news=("certificates", "hosts", "jobs"))

bp.add_url_rule("/certificates/new", "create", requesting.create, methods=["GET", "POST"])
bp.add_url_rule("/certificates/check", "check", requesting.check, methods=["POST"])
bp.add_url_rule("/certificates/bulk", "bulk", bulk.change, methods=["POST"])
bp.add_url_rule("/certificates/upload", "upload", uploading.upload, methods=["GET", "POST"])
bp.add_url_rule("/certificates/<int:certificate_id>/edit", "edit", requesting.edit, methods=["GET", "POST"])
bp.add_url_rule(
    "/certificates/<int:certificate_id>/take-over", "take_over", requesting.take_over, methods=["GET", "POST"]
)
bp.add_url_rule("/certificates/<int:certificate_id>/replace", "replace", uploading.replace, methods=["GET", "POST"])


@bp.get("/certificates")
def index() -> Response:
    """The list: page and fragment under one address, all state in the URL."""
    return htmx.render("certificates/index.html", "certificates/_list.html", **page.list_values(request.args))


@bp.get("/certificates/<int:certificate_id>")
def show(certificate_id: int) -> str:
    """One certificate: how it stands, who uses it, when and why it is renewed, what was done about it."""
    return render_template("certificates/show.html", **page.certificate_values(certificates.get(certificate_id)))


@bp.post("/certificates/<int:certificate_id>/renew")
def renew(certificate_id: int) -> BaseResponse:
    """A new one now; or the first one, when there is none yet."""
    return _job(certificate_id, certificates.renew)


@bp.post("/certificates/<int:certificate_id>/try-on-staging")
def try_on_staging(certificate_id: int) -> BaseResponse:
    """A rehearsal: ordered from the authority's staging, installed nowhere."""
    return _job(certificate_id, lambda c, who: certificates.request(certificates.spec_of(c), who, dry_run=True))


@bp.post("/certificates/<int:certificate_id>/pause")
def pause(certificate_id: int) -> BaseResponse:
    """It is not renewed by itself until it is resumed."""
    with transaction():
        name = certificates.pause(certificates.get(certificate_id), actor()).name
    htmx.toast(_("Renewal of %(name)s paused.", name=name), undo_url=f"/certificates/{certificate_id}/resume")
    return htmx.go(f"/certificates/{certificate_id}")


@bp.post("/certificates/<int:certificate_id>/resume")
def resume(certificate_id: int) -> BaseResponse:
    """It is renewed by itself again."""
    with transaction():
        name = certificates.resume(certificates.get(certificate_id), actor()).name
        undo_url = offer.undo_url("certificate")
    htmx.toast(_("Renewal of %(name)s resumed.", name=name), undo_url=undo_url)
    return htmx.go(f"/certificates/{certificate_id}")


@bp.post("/certificates/<int:certificate_id>/revoke")
def revoke(certificate_id: int) -> BaseResponse:
    """Declares it invalid for ever. The phrase keeps a slip of the hand from doing so."""
    certificate = certificates.get(certificate_id)
    if request.form.get("phrase", "").strip().lower() != phrase(certificate):
        htmx.toast(_("Not revoked: type “%(phrase)s” to confirm.", phrase=phrase(certificate)), kind="bad")
        return htmx.go(f"/certificates/{certificate_id}")
    return _job(certificate_id, lambda c, who: certificates.revoke(c, who, reason=number(request.form.get("reason"))))


@bp.post("/certificates/<int:certificate_id>/delete")
def delete(certificate_id: int) -> BaseResponse:
    """Takes its files away. While hosts use it that is refused, unless they are to go back to plain HTTP."""
    with transaction():
        certificate = certificates.get(certificate_id)
        name = certificate.name
        command = certificates.delete(certificate, actor(), unlink=request.form.get("unlink") == "y")
        address = f"/jobs/{command.id}" if command else "/certificates"
    if address == "/certificates":
        htmx.toast(_("Certificate %(name)s deleted.", name=name))
    return htmx.go(address)


@bp.post("/certificates/<int:certificate_id>/use")
def use(certificate_id: int) -> BaseResponse:
    """Serves the chosen hosts with it."""
    host_ids = [number(text) for text in request.form.getlist("host")]
    applies: list[Command] = []
    with transaction():
        certificate = certificates.get(certificate_id)
        hosts = [proxy_hosts.get(host_id) for host_id in dict.fromkeys(host_ids)]
        for host in hosts:
            apply = certificates.link(host, certificate, actor())
            applies += [apply] if apply is not None else []
        name = display_name(hosts[0].primary_name) if len(hosts) == 1 else plural(len(hosts), "host")
        address = f"/jobs/{applies[-1].id}" if applies else f"/certificates/{certificate_id}"
    htmx.toast(
        _("Certificate used on %(name)s.", name=name) if hosts else _("Choose at least one host."),
        kind="ok" if hosts else "warn",
    )
    return htmx.go(address)


def phrase(certificate: Certificate) -> str:
    """What a person types before a certificate is revoked."""
    return _("Revoke %(name)s", name=certificate.name).lower()


bp.add_app_template_global(phrase, "revoke_phrase")


def _job(certificate_id: int, act: Callable[[Certificate, User], Command]) -> BaseResponse:
    """Asks for one thing; the page of its job comes next."""
    try:
        with transaction():
            address = f"/jobs/{act(certificates.get(certificate_id), actor()).id}"
    except Invalid as refusal:
        htmx.toast(refusal.message, kind="bad")
        address = f"/certificates/{certificate_id}"
    return htmx.go(address)
