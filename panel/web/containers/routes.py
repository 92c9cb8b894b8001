"""The containers page, hosts that containers offer, and whether an agent's labels are trusted.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Invalid
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.nginx.grammar import display_name
from panel.services import agents, label_hosts
from panel.web import htmx
from panel.web.access import actor, administrators_only
from panel.web.containers import live, page
from panel.web.live import registry

bp = Blueprint("containers", __name__)
registry.register("containers", live.regions, news=("containers", "agents", "jobs"))


@bp.get("/containers")
def index() -> Response:
    """The list: page and fragment under one address, all state in the URL."""
    return htmx.render("containers/index.html", "containers/_list.html", **page.list_values(request.args))


@bp.post("/containers/accept")
def accept() -> BaseResponse:
    """One click: makes the host that a container's labels ask for, and applies it."""
    try:
        with transaction():
            agent = agents.get(request.form.get("agent", ""))
            host = label_hosts.accept(agent, request.form.get("container", ""), actor())
            name, address = display_name(host.primary_name), f"/hosts/{host.id}"
    except Invalid as refusal:  # a name that another host has, for example
        htmx.toast(refusal.message, kind="bad")
        return htmx.go("/containers")
    htmx.toast(_("Host %(name)s added. It is being applied now.", name=name))
    return htmx.go(address)


@bp.post("/agents/<agent_id>/labels")
@administrators_only
def trust(agent_id: str) -> BaseResponse:
    """Whether labels of containers make hosts without a person's yes."""
    with transaction():
        agent = agents.get(agent_id)
        label_hosts.set_trust(agent, actor(), is_on=request.form.get("trust") == "y")
        said = _("become hosts by themselves") if agent.trusts_labels else _("are offered, and a person confirms")
        name = agent.name
    htmx.toast(_("Setting saved: containers with labels on %(name)s %(said)s.", name=name, said=said))
    return htmx.go(f"/agents/{agent_id}")
