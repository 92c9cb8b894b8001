"""Quick edit: a row of the list as a small form, for what is changed most often.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from flask import Response, make_response, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Conflict, Forbidden, Invalid
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.models import ProxyHost
from panel.nginx.grammar import display_name
from panel.services import agents, proxy_hosts
from panel.web import htmx
from panel.web.access import actor
from panel.web.hosts import editing, page
from panel.web.hosts.forms import LABELS, ProxyHostForm, values_of

FIELDS = ("forward_scheme", "forward_host", "forward_port", "tags", "is_enabled")


def quick(host_id: int) -> BaseResponse:
    """The row as a form; saved and applied by POST. Without scripts the host's own form is this."""
    if not actor().may_edit:
        raise Forbidden(_("Your role lets you look, not change. Ask an administrator for the operator role."))
    host = proxy_hosts.get(host_id)
    if request.method == "GET":
        return _form(host, _open(host)) if htmx.is_htmx() else htmx.go(url_for("hosts.edit", host_id=host_id))
    form = _open(host, dict(request.form))
    if not form.validate():
        return _form(host, form, _sentences(form), 422)
    try:
        with transaction():
            name = _save(host_id, form)
    except Invalid as refusal:
        return _form(proxy_hosts.get(host_id), form, refusal.message, 422)
    except Conflict as refusal:
        return _form(
            proxy_hosts.get(host_id),
            form,
            _("%(message)s Cancel shows what is saved now.", message=refusal.message),
            409,
        )
    htmx.toast(_("Host %(name)s saved.", name=name))
    return _row(host_id) if htmx.is_htmx() else htmx.go(url_for("hosts.index"))


def row(host_id: int) -> BaseResponse:
    """The row as it is now; the host's page for whoever opens this by itself."""
    host = proxy_hosts.get(host_id)
    return _row(host.id) if htmx.is_htmx() else htmx.go(url_for("hosts.show", host_id=host_id))


def _save(host_id: int, form: ProxyHostForm) -> str:
    """Applies only what nginx gets to see."""
    host = proxy_hosts.get(host_id)
    generation = host.changed_generation
    proxy_hosts.update(host, form.spec(), actor(), version=form.opened_version())
    if host.changed_generation != generation:
        editing.apply_soon(host.agent)
    return display_name(host.primary_name)


def _open(host: ProxyHost, posted: dict[str, str] | None = None) -> ProxyHostForm:
    """The host's whole form, with what was posted in place of a few of its fields."""
    values = {name: "y" if value is True else value for name, value in values_of(host).items() if value is not False}
    values["version"] = str(host.version)
    if posted is not None:
        values |= {name: posted.get(name, "") for name in (*FIELDS, "version")}
        values = {name: value for name, value in values.items() if name != "is_enabled" or value}
    form = ProxyHostForm(formdata=MultiDict(values))
    form.offer_agents(one for one in agents.list_all() if not one.is_revoked or one.id == host.agent_id)
    form.offer_certificates([])
    return form


def _sentences(form: ProxyHostForm) -> str:
    """What must be mended; a field that is not in the row is named, so that it is looked for in the whole form."""
    found = form.refusals()
    return " ".join(text if name in FIELDS else f"{LABELS[name]}: {text}" for name, text in found)


def _form(host: ProxyHost, form: ProxyHostForm, problem: str = "", status: int = 200) -> BaseResponse:
    values = {"host": host, "name": display_name(host.primary_name), "form": form, "problem": problem}
    if not htmx.is_htmx():  # a browser without scripts never gets here by itself
        htmx.toast(problem, kind="bad")
        return htmx.go(url_for("hosts.edit", host_id=host.id))
    return make_response(render_template("hosts/_quick.html", **values), status)


def _row(host_id: int) -> Response:
    statuses = page.agent_statuses(agents.list_all())
    shown = page.rows([proxy_hosts.get(host_id)], statuses)[0]
    return make_response(render_template("hosts/_row.html", row=shown, takes_focus=True) + htmx.toasts())
