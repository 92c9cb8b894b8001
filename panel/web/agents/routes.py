"""The agents pages: cards, one agent, adding one, and what can be asked of one.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, current_app, make_response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.config import Config
from panel.errors import Invalid
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.models import Agent, Command, CommandKind, User
from panel.models.types import utcnow
from panel.services import agents, commands, deployments, drift
from panel.web import htmx
from panel.web.access import actor, administrators_only
from panel.web.agents import live, page, view
from panel.web.agents.forms import AgentForm
from panel.web.audit import offer
from panel.web.live import registry

bp = Blueprint("agents", __name__)
registry.register("agents", live.regions, news=("agents", "hosts", "jobs"))


@bp.get("/agents")
def index() -> BaseResponse:
    """Agents as cards: page and fragment under one address, all state in the URL."""
    return htmx.render("agents/index.html", "agents/_list.html", **page.list_values(request.args, utcnow(), _config()))


@bp.get("/agents/<agent_id>")
def show(agent_id: str) -> str:
    """One agent: its facts, what it should be and what it is, its hosts and jobs."""
    agent = agents.get(agent_id)
    values = page.values(agent, utcnow(), _config())
    return render_template("agents/show.html", **values)


@bp.route("/agents/new", methods=["GET", "POST"])
@administrators_only
def create() -> BaseResponse:
    """Names a new agent; the answer shows its join command, once."""
    form = AgentForm()
    if request.method == "GET":
        return make_response(render_template("agents/new.html", form=form))
    if not form.validate():
        return make_response(render_template("agents/new.html", form=form), 422)
    try:
        with transaction():
            agent, token = agents.create(form.name.data or "", actor(), _config())
            agent_id = agent.id
    except Invalid as refusal:
        form.attach(refusal)
        return make_response(render_template("agents/new.html", form=form), 422)
    return _show_join_command(agents.get(agent_id), token)


@bp.post("/agents/<agent_id>/join-command")
@administrators_only
def join_command(agent_id: str) -> BaseResponse:
    """A new join command; the one before ends."""
    with transaction():
        token = agents.new_join_token(agents.get(agent_id), actor(), _config())
    return _show_join_command(agents.get(agent_id), token)


@bp.post("/agents/<agent_id>/check")
def check(agent_id: str) -> BaseResponse:
    """Asks the agent how its nginx is."""
    return _send(agent_id, lambda agent, who: commands.enqueue(agent, CommandKind.CHECK_NGINX, actor=who))


@bp.post("/agents/<agent_id>/reload")
def reload(agent_id: str) -> BaseResponse:
    """Lets nginx read its present files again."""
    return _send(agent_id, commands.reload)


@bp.post("/agents/<agent_id>/apply")
def apply(agent_id: str) -> BaseResponse:
    """Applies what is saved, also hosts that nginx refused before."""
    with transaction():
        job_id = deployments.apply(agents.get(agent_id), actor(), at_once=True).id
    return htmx.go(f"/jobs/{job_id}")


@bp.post("/agents/<agent_id>/put-back")
def put_back(agent_id: str) -> BaseResponse:
    """Undoes what somebody changed by hand: exactly what was live is applied again."""
    with transaction():
        job_id = drift.put_back(agents.get(agent_id), actor()).id
    return htmx.go(f"/jobs/{job_id}")


@bp.post("/agents/<agent_id>/healing")
def healing(agent_id: str) -> BaseResponse:
    """Whether hand edits are put back at once, or reported and left to a person."""
    with transaction():
        agent = agents.get(agent_id)
        drift.set_healing(agent, request.form.get("heal") == "y", actor())
        said = _("put back at once") if agent.heals_drift else _("reported and left as they are")
        undo_url = offer.undo_url("agent")
    htmx.toast(_("Setting saved: hand edits on %(name)s are %(said)s.", name=agent.name, said=said), undo_url=undo_url)
    return htmx.go(f"/agents/{agent_id}")


@bp.post("/agents/<agent_id>/revoke")
@administrators_only
def revoke(agent_id: str) -> BaseResponse:
    """Shuts the agent out at once."""
    with transaction():
        agent = agents.get(agent_id)
        agents.revoke(agent, actor())
        name = agent.name
    htmx.toast(_("Agent %(name)s revoked. Its stream is closed.", name=name))
    return htmx.go(f"/agents/{agent_id}")


def _send(agent_id: str, ask: Callable[[Agent, User], Command]) -> BaseResponse:
    with transaction():
        job_id = ask(agents.get(agent_id), actor()).id
    return htmx.go(f"/jobs/{job_id}")


def _show_join_command(agent: Agent, token: str) -> BaseResponse:
    """The only answer that holds the token: not stored, not in a URL, not cached."""
    config = _config()
    panel_url = config.public_url or request.url_root.rstrip("/")
    join = view.join(token, agents.join_token_expiry(agent, utcnow()), panel_url, config)
    return make_response(
        render_template("agents/join.html", agent=agent, join=join, card=view.card(agent, utcnow(), config))
    )


def _config() -> Config:
    config: Config = current_app.config["WAYPOST"]
    return config
