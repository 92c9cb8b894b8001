"""The hosts pages: the list, one host's page and the buttons that act on it.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Conflict, Invalid
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.models import ProxyHost, User
from panel.nginx.grammar import display_name
from panel.services import certificates, deployments, proxy_hosts, upstreams
from panel.web import htmx
from panel.web.access import actor, local_path
from panel.web.audit import offer
from panel.web.hosts import asking, bulk, editing, field_checks, history, live, page, quick
from panel.web.live import registry

bp = Blueprint("hosts", __name__)
registry.register("hosts", live.regions, news=("hosts", "agents", "certificates"))

bp.add_url_rule("/hosts/new", "create", editing.create, methods=["GET", "POST"])
bp.add_url_rule("/hosts/<int:host_id>/edit", "edit", editing.edit, methods=["GET", "POST"])
bp.add_url_rule(
    "/hosts/<int:host_id>/versions/<int:event_id>", "restore_version", history.restore_version, methods=["POST"]
)
bp.add_url_rule("/hosts/bulk", "bulk", bulk.change, methods=["POST"])
bp.add_url_rule("/hosts/bulk/undo", "undo_bulk", bulk.undo, methods=["POST"])
bp.add_url_rule("/hosts/<int:host_id>/quick", "quick", quick.quick, methods=["GET", "POST"])
bp.add_url_rule("/hosts/<int:host_id>/row", "row", quick.row)
bp.add_url_rule("/hosts/preview", "preview", editing.preview_draft, methods=["POST"])
bp.add_url_rule("/hosts/check-field", "check_field", field_checks.check_field, methods=["POST"])
bp.add_url_rule("/hosts/check-names", "check_names", asking.check_names, methods=["POST"])
bp.add_url_rule("/hosts/check-upstream", "try_upstream", asking.check_upstream, methods=["POST"])
bp.add_url_rule("/hosts/test", "test_draft", editing.test_draft, methods=["POST"])


@bp.get("/hosts")
def index() -> Response:
    """The list: page and fragment under one address, all state in the URL."""
    return htmx.render("hosts/index.html", "hosts/_list.html", **page.list_values(request.args))


@bp.get("/hosts/<int:host_id>")
def show(host_id: int) -> str:
    """One host: its route, what is live and what is saved, its file, its jobs."""
    return render_template("hosts/show.html", **page.host_values(proxy_hosts.get(host_id)))


@bp.post("/hosts/<int:host_id>/test")
def test(host_id: int) -> BaseResponse:
    """Tests the host as it is saved, without touching what is live."""
    with transaction():
        host = proxy_hosts.get(host_id)
        command = deployments.test_draft(host, proxy_hosts.spec_of(host), host.agent, actor())
        url = f"/jobs/{command.id}"
    return htmx.go(url)


@bp.post("/hosts/<int:host_id>/request-ssl")
def request_ssl(host_id: int) -> BaseResponse:
    """One click: a certificate for the host's names, and HTTPS as soon as it is there. Its job comes next."""
    try:
        with transaction():
            options = {"force_ssl": request.form.get("force_ssl") == "y", "staging": request.form.get("staging") == "y"}
            command = certificates.request_for_host(proxy_hosts.get(host_id), actor(), **options)
            url = f"/jobs/{command.id}"
    except Invalid as refusal:  # what one click cannot decide is asked in the form
        htmx.toast(refusal.message, kind="warn")
        url = f"/certificates/new?host={host_id}"
    return htmx.go(url)


@bp.post("/hosts/<int:host_id>/check-upstream")
def check_upstream(host_id: int) -> BaseResponse:
    """Asks the agent to look at the upstream now; the host's page shows the answer when it comes."""
    with transaction():
        upstreams.check(proxy_hosts.get(host_id), actor())
    htmx.toast(_("The agent looks at the upstream now."))
    return htmx.go(f"/hosts/{host_id}")


@bp.post("/hosts/<int:host_id>/enable")
def enable(host_id: int) -> BaseResponse:
    """Serves the host again, at once."""
    return _change(host_id, lambda host, who: proxy_hosts.set_enabled(host, True, who), _("enabled"))


@bp.post("/hosts/<int:host_id>/disable")
def disable(host_id: int) -> BaseResponse:
    """Stops serving the host, at once; nothing of it is lost."""
    return _change(host_id, lambda host, who: proxy_hosts.set_enabled(host, False, who), _("disabled"))


@bp.post("/hosts/<int:host_id>/restore")
def restore(host_id: int) -> BaseResponse:
    """Brings a deleted host back, at once."""
    return _change(host_id, proxy_hosts.restore, _("is back"))


@bp.post("/hosts/<int:host_id>/delete")
def delete(host_id: int) -> BaseResponse:
    """Deletes the host, at once; the toast and the host's page bring it back."""
    with transaction():
        host = proxy_hosts.get(host_id)
        name = display_name(host.primary_name)
        proxy_hosts.delete(host, actor())
        editing.apply_soon(host.agent)
    htmx.toast(_("Host %(name)s deleted.", name=name), undo_url=f"/hosts/{host_id}/restore")
    return htmx.go(local_path(request.form.get("next", "")) or "/hosts")


def _change(host_id: int, change: Callable[[ProxyHost, User], object], done: str) -> BaseResponse:
    """One reversible change: do it, apply it, say it, and go back to where the button was."""
    with transaction():
        host = proxy_hosts.get(host_id)
        change(host, actor())
        note = _apply_note(host)
        name = display_name(host.primary_name)
        undo_url = offer.undo_url("proxy_host")
    htmx.toast(_("Host %(name)s %(done)s. %(note)s", name=name, done=done, note=note), undo_url=undo_url)
    return htmx.go(local_path(request.form.get("next", "")) or f"/hosts/{host_id}")


def _apply_note(host: ProxyHost) -> str:
    """Enqueues the apply; a revoked agent keeps the change saved, and the person is told."""
    try:
        editing.apply_soon(host.agent)
    except Conflict as refusal:
        return _("It is saved, but not applied: %(message)s", message=refusal.message)
    return _("It is being applied now.")
