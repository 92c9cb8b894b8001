"""The host form at work: open it, preview what is typed, test it, save it.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, current_app, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.config import Config
from panel.errors import Conflict, Forbidden, Invalid, PanelError
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Agent, Command, ProxyHost
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.services import agents, certificates, commands, deployments, history, proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec, spec_of
from panel.web import htmx
from panel.web.access import actor
from panel.web.audit import offer
from panel.web.hosts import form_page, joining, merging
from panel.web.hosts.forms import ProxyHostForm
from panel.web.hosts.merging import Meanwhile
from panel.web.jobs.view import view as job_view

DELETED = lazy_gettext("This host was deleted. Bring it back on its page, then it can be edited.")
TWICE = timedelta(seconds=10)  # a second click on "Save" comes within seconds


def create() -> BaseResponse:
    """A new host, empty or as a copy of another (?clone=<id>)."""
    _require_editor()
    form = form_page.open_form(None)
    return _submit(form, None) if request.method == "POST" else form_page.answer(form, None)


def edit(host_id: int) -> BaseResponse:
    """An existing host."""
    _require_editor()
    host = proxy_hosts.get(host_id)
    if host.is_deleted and request.method == "GET":
        raise Conflict(DELETED)
    form = form_page.open_form(host)
    return _submit(form, host_id) if request.method == "POST" else form_page.answer(form, host)


def preview_draft() -> BaseResponse:
    """The route strip and the file of what is typed. Saves nothing; for a browser without scripts the whole page."""
    host = form_page.posted_host()
    form = form_page.open_form(host)
    values = form_page.form_values(form, host, draft=True)
    if htmx.is_htmx():
        return Response(render_template("hosts/_preview_answer.html", **values))
    return Response(render_template("hosts/edit.html", **values))


def test_draft() -> BaseResponse:
    """Tests what is typed with the agent's nginx. Saves nothing; the output comes as it arrives."""
    host = form_page.posted_host()
    form = form_page.open_form(host)
    if not form.validate():
        return form_page.refuse(form, host)
    try:
        with transaction():
            spec = form.spec()
            command = deployments.test_draft(form_page.posted_host(), spec, agents.get(spec.agent_id), actor())
            command_id = command.id
    except Invalid as refusal:
        form.attach(refusal)
        return form_page.refuse(form, form_page.posted_host())
    if not htmx.is_htmx():
        return htmx.go(f"/jobs/{command_id}")
    return Response(render_template("hosts/_test.html", job=job_view(commands.get(command_id))))


def _require_editor() -> None:
    """A form that could only be refused is not shown at all."""
    if not actor().may_edit:
        raise Forbidden(_("Your role lets you look, not change. Ask an administrator for the operator role."))


def _submit(form: ProxyHostForm, host_id: int | None) -> BaseResponse:
    met = _meet_others(form, _existing(host_id))
    if met is not None:
        return met
    if not form.validate():
        return form_page.refuse(form, _existing(host_id))
    try:
        with transaction():
            address = _save(form, host_id)
    except Invalid as refusal:
        form.attach(refusal)
        twin = _saved_a_moment_ago(form.spec()) if host_id is None else None
        return htmx.go(f"/hosts/{twin.id}") if twin else form_page.refuse(form, _existing(host_id))
    except Conflict as refusal:
        return _explain(form, host_id, refusal)
    return htmx.go(address)


def _meet_others(form: ProxyHostForm, host: ProxyHost | None) -> BaseResponse | None:
    """What is answered when somebody else saved or deleted the host meanwhile, or the person asks to compare; None
    when it can be saved: nobody did, or all that both changed is decided, and the form now holds what is wanted."""
    wants_compare = request.form.get("then") == "compare"
    if host is None:
        return None
    if host.is_deleted:
        return form_page.answer(
            form,
            host,
            Conflict.status,
            form_page.Trouble(_("%(deleted)s Nothing that you typed is lost.", deleted=DELETED)),
        )
    if host.version == form.opened_version():
        return form_page.answer(form, host) if wants_compare else None
    if merging.is_same(form, host):
        return htmx.go(f"/hosts/{host.id}")
    meanwhile = _compare(form, host)
    merging.take(form, host, meanwhile)
    form_page.offer(form, host)
    return None if meanwhile.is_settled and not wants_compare else _show(form, host, meanwhile)


def _compare(form: ProxyHostForm, host: ProxyHost) -> Meanwhile:
    change = history.last_changes("proxy_host", [host.id]).get(str(host.id))
    return merging.compare(form, host, change, request.form)


def _show(form: ProxyHostForm, host: ProxyHost, meanwhile: Meanwhile) -> BaseResponse:
    left = ", ".join(map(str, meanwhile.to_choose))
    sentence = _("Choose for %(fields)s, then save.", fields=left) if left else ""
    return form_page.answer(form, host, Conflict.status, form_page.Trouble(sentence, meanwhile))


def _save(form: ProxyHostForm, host_id: int | None) -> str:
    """Saves, applies when that was asked for; the address to go to."""
    spec = form.spec()
    if host_id is None:
        host = proxy_hosts.create(spec, actor())
        touched, is_only_words = [host.agent], False
    else:
        host = proxy_hosts.get(host_id)
        touched, version = [host.agent], host.version
        host = proxy_hosts.update(host, spec, actor(), version=form.opened_version())
        is_only_words = host.version != version and not host.has_unapplied_changes
        touched += [host.agent] if host.agent_id != touched[0].id else []
    undo_url = "" if host_id is None else offer.undo_url("proxy_host")
    joined = joining.carry_out(form, request.form, host, actor())
    if is_only_words and not (joined or form.wants_request or host.agent.has_unapplied_changes):
        htmx.toast(
            _(
                "Host %(display_name)s saved. nginx needs nothing new for that.",
                display_name=display_name(host.primary_name),
            ),
            undo_url=undo_url,
        )
        return f"/hosts/{host.id}"
    if request.form.get("then") == "apply":
        applies = [apply_soon(agent) for agent in touched]
        if form.wants_request:  # the host is served by plain HTTP until the certificate is there
            return f"/jobs/{certificates.request_for_host(host, actor(), force_ssl=spec.force_ssl).id}"
        if undo_url:
            htmx.toast(
                _(
                    "Host %(display_name)s saved. It is being applied now.",
                    display_name=display_name(host.primary_name),
                ),
                undo_url=undo_url,
            )
        return job_address(applies)
    also = _(" nginx is being joined to %(joined)s.", joined=joined) if joined else ""
    said = _(
        "Host %(display_name)s saved. It is not live until it is applied.%(also)s",
        display_name=display_name(host.primary_name),
        also=also,
    )
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
    """A conflict that came up while it was being saved: the same form, nothing lost."""
    host = _existing(host_id)
    met = _meet_others(form, host)
    return met if met is not None else form_page.answer(form, host, refusal.status, form_page.Trouble(refusal.message))


def _saved_a_moment_ago(spec: ProxyHostSpec) -> ProxyHost | None:
    """The host that the first click of a double click has just made."""
    found = proxy_hosts.list_page(query=spec.domain_names[0], agent_id=spec.agent_id).items
    return next((h for h in found if spec_of(h) == spec and utcnow() - h.created_at < TWICE), None)


def _existing(host_id: int | None) -> ProxyHost | None:
    return None if host_id is None else proxy_hosts.get(host_id)
