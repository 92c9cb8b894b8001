"""The networks page, and the buttons that join nginx to a network and take it out.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as BaseResponse

from panel.extensions import transaction
from panel.models import Agent, Command, User
from panel.services import agents, networks
from panel.web import htmx
from panel.web.access import actor
from panel.web.live import registry
from panel.web.networks import live, page

bp = Blueprint("networks", __name__)
registry.register("networks", live.regions, news=("networks", "agents", "jobs"))


@bp.get("/networks")
def index() -> Response:
    """The list: page and fragment under one address, all state in the URL."""
    return htmx.render("networks/index.html", "networks/_list.html", **page.list_values(request.args))


@bp.post("/networks/attach")
def attach() -> BaseResponse:
    """Joins nginx to a network, now and from now on. Its job comes next."""
    return _change(networks.attach)


@bp.post("/networks/detach")
def detach() -> BaseResponse:
    """Takes nginx out of a network, for good. Its job comes next."""
    return _change(networks.detach)


def _change(act: Callable[[Agent, str, User | None], Command]) -> BaseResponse:
    """Names come as fields and never as a part of the address: Docker lets them be nearly anything."""
    with transaction():
        command = act(agents.get(request.form.get("agent", "")), request.form.get("network", ""), actor())
        address = f"/jobs/{command.id}"
    return htmx.go(address)
