"""The panel as a host: the form that makes it, and what is still to do then.
May import: Flask, WTForms, panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, current_app, render_template, request
from werkzeug.wrappers import Response as BaseResponse
from wtforms import IntegerField, SelectField, StringField

from panel.config import Config
from panel.errors import Invalid
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Agent, ProxyHost
from panel.nginx.grammar import display_name
from panel.services import publishing
from panel.services.proxy_hosts import ProxyHostSpec
from panel.services.publishing import Reach
from panel.web import htmx
from panel.web.access import actor, administrators_only
from panel.web.forms import Form
from panel.web.hosts import view as hosts
from panel.web.live import registry

PAGE = "/settings/publish"


class PublishForm(Form):
    """A name, the agent whose nginx answers for it, and where that nginx reaches the panel."""

    domain_names = StringField(lazy_gettext("Name of the panel"))
    agent_id = SelectField(lazy_gettext("Agent"), validate_choice=False)
    forward_host = StringField(lazy_gettext("Address of the panel, as nginx reaches it"))
    forward_port = IntegerField(lazy_gettext("Port"))


@administrators_only
def show() -> BaseResponse:
    """The host that publishes the panel and what is still to do, or the form that makes it."""
    host = publishing.find(_config())
    if host is not None and "again" not in request.args:
        return Response(render_template("settings/published.html", **_values(host)))
    agents = publishing.candidates()
    agent = publishing.choose(agents, request.args.get("agent", ""), _config())
    reach = publishing.reach(agent, _config()) if agent else None
    form = PublishForm(formdata=None, data=_defaults(agent, reach))
    return _answer(form, agents, reach)


@administrators_only
def create() -> BaseResponse:
    """Makes the host and applies it; the page then says what is next."""
    form, agents = PublishForm(), publishing.candidates()
    agent = publishing.choose(agents, form.agent_id.data or "", _config())
    try:
        with transaction():
            publishing.publish(_spec(form), actor())
    except Invalid as refusal:
        form.attach(refusal)
        return _answer(form, agents, publishing.reach(agent, _config()) if agent else None, 422)
    htmx.toast(_("Panel published. Now give it HTTPS."))
    return htmx.go(PAGE)


def _spec(form: PublishForm) -> ProxyHostSpec:
    port = form.forward_port.data
    if port is None:
        raise Invalid("forward_port", _("Enter the port that the panel listens on, a number."))
    name = " ".join((form.domain_names.data or "").split())
    return publishing.spec(form.agent_id.data or "", name, form.forward_host.data or "", port)


def _defaults(agent: Agent | None, reach: Reach | None) -> dict[str, object]:
    name = _config().public_url.partition("://")[2].partition(":")[0]
    found: dict[str, object] = {"domain_names": name, "agent_id": agent.id if agent else ""}
    return found | ({"forward_host": reach.host, "forward_port": reach.port} if reach else {})


def _answer(form: PublishForm, agents: Sequence[Agent], reach: Reach | None, status: int = 200) -> Response:
    form.agent_id.choices = [(agent.id, agent.name) for agent in agents]
    page = render_template("settings/publish.html", form=form, agents=agents, reach=reach)
    return Response(page, status)


def _values(host: ProxyHost) -> dict[str, object]:
    """What is done and what is not; `sees` is the address that the panel takes this visitor's to be."""
    settings = publishing.settings(host, _config())
    comes_by_proxy = "X-Forwarded-For" in request.headers
    return {
        "host": host,
        "name": display_name(host.primary_name),
        "site_url": hosts.site_url(host),
        "settings": settings,
        "missing": [setting for setting in settings if not setting.is_set],
        "sees": request.remote_addr or "",
        "comes_by_proxy": comes_by_proxy,
        "is_blind": comes_by_proxy and not _config().trusted_proxies,
    }


def _regions() -> dict[str, str]:
    """Regions for `/live?topics=publish`: how far it is."""
    host = publishing.find(_config()) if actor().may_administer else None
    return {"#published": render_template("settings/_published.html", **_values(host))} if host else {}


def _config() -> Config:
    config: Config = current_app.config["WAYPOST"]
    return config


registry.register("publish", _regions, news=("hosts", "certificates", "agents", "jobs"))
