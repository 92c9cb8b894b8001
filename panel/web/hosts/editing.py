"""The host form at work: open it, preview what is typed, test it, save it.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flask import Response, current_app, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.config import Config
from panel.errors import Conflict, Forbidden, Invalid, PanelError
from panel.extensions import transaction
from panel.models import Agent, AgentStatus, Command, ProxyHost
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.services import agents, certificates, commands, deployments, history, proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec, spec_of
from panel.web import htmx
from panel.web.access import actor
from panel.web.audit import offer
from panel.web.hosts import joining, preview, view
from panel.web.hosts.forms import ProxyHostForm, values_of
from panel.web.jobs.view import view as job_view

NEW_HOST = {"forward_scheme": "http", "websocket": True, "is_enabled": True, "http2": True, "force_ssl": True}
TWICE = timedelta(seconds=10)  # a second click on "Save" comes within seconds


@dataclass(frozen=True)
class Trouble:
    """Why a valid form was not saved. `meanwhile` is set when somebody else saved the host first."""

    sentence: str
    meanwhile: view.Meanwhile | None = None


def create() -> BaseResponse:
    """A new host, empty or as a copy of another (?clone=<id>)."""
    _require_editor()
    form = _open_form(None)
    return _submit(form, None) if request.method == "POST" else _answer(form, None)


def edit(host_id: int) -> BaseResponse:
    """An existing host."""
    _require_editor()
    host = _editable(host_id)
    form = _open_form(host)
    return _submit(form, host_id) if request.method == "POST" else _answer(form, host)


def preview_draft() -> BaseResponse:
    """The route strip and the file of what is typed. Saves nothing; for a browser without scripts the whole page."""
    host = _posted_host()
    form = _open_form(host)
    values = _form_values(form, host, draft=True)
    if htmx.is_htmx():
        return Response(render_template("hosts/_preview_answer.html", **values))
    return Response(render_template("hosts/edit.html", **values))


def test_draft() -> BaseResponse:
    """Tests what is typed with the agent's nginx. Saves nothing; the output comes as it arrives."""
    host = _posted_host()
    form = _open_form(host)
    if not form.validate():
        return _refuse(form, host)
    try:
        with transaction():
            spec = form.spec()
            command = deployments.test_draft(_posted_host(), spec, agents.get(spec.agent_id), actor())
            command_id = command.id
    except Invalid as refusal:
        form.attach(refusal)
        return _refuse(form, _posted_host())
    if not htmx.is_htmx():
        return htmx.go(f"/jobs/{command_id}")
    return Response(render_template("hosts/_test.html", job=job_view(commands.get(command_id))))


def _require_editor() -> None:
    """A form that could only be refused is not shown at all."""
    if not actor().may_edit:
        raise Forbidden("Your role lets you look, not change. Ask an administrator for the operator role.")


def _submit(form: ProxyHostForm, host_id: int | None) -> BaseResponse:
    if not form.validate():
        return _refuse(form, _existing(host_id))
    try:
        with transaction():
            address = _save(form, host_id)
    except Invalid as refusal:
        form.attach(refusal)
        twin = _saved_a_moment_ago(form.spec()) if host_id is None else None
        return htmx.go(f"/hosts/{twin.id}") if twin else _refuse(form, _existing(host_id))
    except Conflict as refusal:
        return _explain(form, host_id, refusal)
    return htmx.go(address)


def _save(form: ProxyHostForm, host_id: int | None) -> str:
    """Saves, applies when that was asked for; the address to go to."""
    spec = form.spec()
    if host_id is None:
        host = proxy_hosts.create(spec, actor())
        touched = [host.agent]
    else:
        host = proxy_hosts.get(host_id)
        touched = [host.agent]
        host = proxy_hosts.update(host, spec, actor(), version=form.opened_version())
        touched += [host.agent] if host.agent_id != touched[0].id else []
    undo_url = "" if host_id is None else offer.undo_url("proxy_host")
    joined = joining.carry_out(form, request.form, host, actor())
    if request.form.get("then") == "apply":
        applies = [apply_soon(agent) for agent in touched]
        if form.wants_request:  # the host is served by plain HTTP until the certificate is there
            return f"/jobs/{certificates.request_for_host(host, actor(), force_ssl=spec.force_ssl).id}"
        if undo_url:
            htmx.toast(f"Host {display_name(host.primary_name)} saved. It is being applied now.", undo_url=undo_url)
        return job_address(applies)
    also = f" nginx is being joined to {joined}." if joined else ""
    said = f"Host {display_name(host.primary_name)} saved. It is not live until it is applied.{also}"
    htmx.toast(said, undo_url=undo_url)
    return f"/hosts/{host.id}"


def apply_soon(agent: Agent) -> Command:
    """An apply for a change that was just saved; edits in a row become one reload."""
    config: Config = current_app.config["WAYPOST"]
    return deployments.apply(agent, actor(), window=config.apply_window, longest_wait=config.apply_longest_wait)


def job_address(commands: list[Command]) -> str:
    """Where to watch these jobs."""
    return f"/jobs/{commands[0].id}" if len(commands) == 1 else "/jobs"


def _explain(form: ProxyHostForm, host_id: int | None, refusal: PanelError) -> BaseResponse:
    """A conflict: the same form, nothing lost, and a banner that says who changed what."""
    host = _existing(host_id)
    if host is None or host.is_deleted or host.version == form.opened_version():
        return _answer(form, host, refusal.status, Trouble(refusal.message))
    names = {agent.id: agent.name for agent in agents.list_all()}
    typed = view.spoken_values(form.spec(), names)
    if typed == view.spoken_values(host, names):
        return htmx.go(f"/hosts/{host.id}")
    change = history.last_changes("proxy_host", [host.id]).get(str(host.id))
    form.version.data = str(host.version)
    return _answer(form, host, refusal.status, Trouble(refusal.message, view.meanwhile(host, change, typed, names)))


def _saved_a_moment_ago(spec: ProxyHostSpec) -> ProxyHost | None:
    """The host that the first click of a double click has just made."""
    found = proxy_hosts.list_page(query=spec.domain_names[0], agent_id=spec.agent_id).items
    return next((h for h in found if spec_of(h) == spec and utcnow() - h.created_at < TWICE), None)


def _open_form(host: ProxyHost | None) -> ProxyHostForm:
    """The form with what was posted, else with the host's values, a copy's, or a new host's."""
    values = values_of(host) | {"version": str(host.version)} if host else NEW_HOST | _given_values()
    form = ProxyHostForm(data=values)
    form.offer_agents(a for a in agents.list_all() if not a.is_revoked or (host and a.id == host.agent_id))
    agent = form.chosen_agent()
    form.offer_certificates(certificates.covering(agent, form.typed_names()) if agent else [])
    return form


def _given_values() -> dict[str, object]:
    """What a new host begins with: a container's, or those of the host that is cloned."""
    found = joining.find(request.args) if request.method == "GET" else None
    if found is not None:
        return joining.values(*found)
    text = request.args.get("clone", "")
    if not (text.isascii() and text.isdigit()) or request.method == "POST":
        return {}
    return values_of(proxy_hosts.clone(proxy_hosts.get(int(text))))


def _editable(host_id: int) -> ProxyHost:
    host = proxy_hosts.get(host_id)
    if host.is_deleted:
        raise Conflict("This host was deleted. Bring it back on its page, then it can be edited.")
    return host


def _existing(host_id: int | None) -> ProxyHost | None:
    return None if host_id is None else proxy_hosts.get(host_id)


def _posted_host() -> ProxyHost | None:
    text = request.form.get("host_id", "")
    return proxy_hosts.get(int(text)) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _refuse(form: ProxyHostForm, host: ProxyHost | None) -> BaseResponse:
    response = _answer(form, host, 422)
    # "Test" swaps its own corner; a refusal belongs to the form whichever button was pressed.
    response.headers["HX-Retarget"] = "#host-form"
    response.headers["HX-Reswap"] = "outerMorph"
    return response


def _answer(
    form: ProxyHostForm, host: ProxyHost | None, status: int = 200, trouble: Trouble | None = None
) -> BaseResponse:
    values = _form_values(form, host, draft=request.method == "POST")
    return htmx.render("hosts/edit.html", "hosts/_form.html", status, trouble=trouble, **values)


def _form_values(form: ProxyHostForm, host: ProxyHost | None, *, draft: bool) -> dict[str, object]:
    """What the form's page needs; `draft` shows what is typed, else what is saved."""
    is_valid = form.validate() if draft and not form.errors else not form.errors
    agent = form.chosen_agent()
    file = _draft_file(form, host, agent) if draft and is_valid else (preview.of_saved(host) if host else None)
    return {
        "form": form,
        "host": host,
        "name": display_name(host.primary_name) if host else "",
        "file": file if is_valid else None,
        "hops": view.draft_route(form.data, dict(form.refusals()), agent, _status(agent), form.certificate_words()),
        "is_draft": draft,
        "others": _other_changes(agent, host),
        "join": joining.offer(form, request.form),
        "origin": joining.origin(request.args) if not draft and host is None else None,
    }


def _draft_file(form: ProxyHostForm, host: ProxyHost | None, agent: Agent | None) -> preview.FileView | None:
    return preview.of_draft(host, form.spec(), agent) if agent else None


def _other_changes(agent: Agent | None, host: ProxyHost | None) -> str:
    """The names that an apply would make live too; empty when there are none."""
    others = [h for h in deployments.unapplied_hosts(agent) if h is not host and not h.is_refused] if agent else []
    return view.name_some([display_name(h.primary_name) for h in others])


def _status(agent: Agent | None) -> AgentStatus | None:
    return agents.status(agent, utcnow(), current_app.config["WAYPOST"]) if agent else None
