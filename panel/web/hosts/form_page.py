"""The page of the host form: what it holds, and what stands around it.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app, request
from werkzeug.wrappers import Response as BaseResponse

from panel.models import Agent, AgentStatus, ProxyHost
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.services import agents, certificates, proxy_hosts, waiting
from panel.web import htmx
from panel.web.hosts import checking, history, joining, merging, preview, view
from panel.web.hosts.forms import ProxyHostForm, sections, values_of
from panel.web.hosts.merging import Meanwhile

NEW_HOST = {"forward_scheme": "http", "websocket": True, "is_enabled": True, "http2": True, "force_ssl": True}


@dataclass(frozen=True)
class Trouble:
    """Why a form was not saved. `meanwhile` is set when somebody else saved the host first."""

    sentence: str
    meanwhile: Meanwhile | None = None


@dataclass(frozen=True)
class Asked:
    """Which check was just asked for: None not, "" yes, else why the agent was not asked."""

    names: str | None = None
    upstream: str | None = None


NOT_ASKED = Asked()


def open_form(host: ProxyHost | None) -> ProxyHostForm:
    """The form with what was posted, else with the host's values, a copy's, or a new host's."""
    is_opened_now = host is not None and request.method == "GET"
    opened = {"version": str(host.version), "opened": merging.snapshot(host)} if host and is_opened_now else {}
    form = ProxyHostForm(data=values_of(host) | opened if host else NEW_HOST | _given_values())
    offer(form, host)
    return form


def offer(form: ProxyHostForm, host: ProxyHost | None) -> None:
    """The agents to choose from, and the certificates that fit what the form holds."""
    form.offer_agents(a for a in agents.list_all() if not a.is_revoked or (host and a.id == host.agent_id))
    agent = form.chosen_agent()
    form.offer_certificates(certificates.covering(agent, form.typed_names()) if agent else [])


def _given_values() -> dict[str, object]:
    """What a new host begins with: a container's, or those of the host that is cloned."""
    found = joining.find(request.args) if request.method == "GET" else None
    if found is not None:
        return joining.values(*found)
    text = request.args.get("clone", "")
    if not (text.isascii() and text.isdigit()) or request.method == "POST":
        return {}
    return values_of(proxy_hosts.clone(proxy_hosts.get(int(text))))


def posted_host() -> ProxyHost | None:
    """The host whose form was posted; None for a new one. Raises NotFound."""
    text = request.form.get("host_id", "")
    return proxy_hosts.get(int(text)) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def refuse(form: ProxyHostForm, host: ProxyHost | None) -> BaseResponse:
    """The form with what needs a fix."""
    response = answer(form, host, 422)
    # "Test" swaps its own corner; a refusal belongs to the form whichever button was pressed.
    response.headers["HX-Retarget"] = "#host-form"
    response.headers["HX-Reswap"] = "outerMorph"
    return response


def answer(
    form: ProxyHostForm, host: ProxyHost | None, status: int = 200, trouble: Trouble | None = None
) -> BaseResponse:
    """The form as it is now: the page, or for htmx the form and what stands around it."""
    values = form_values(form, host, draft=request.method == "POST")
    return htmx.render("hosts/edit.html", "hosts/_form_answer.html", status, trouble=trouble, **values)


def form_values(
    form: ProxyHostForm, host: ProxyHost | None, *, draft: bool, asked: Asked = NOT_ASKED
) -> dict[str, object]:
    """What the form's page needs; `draft` shows what is typed, else what is saved."""
    is_valid = form.validate() if draft and not form.errors else not form.errors
    agent = form.chosen_agent()
    file = _draft_file(form, host, agent) if draft and is_valid else (preview.of_saved(host) if host else None)
    names = checking.names(form, agent, request.form, refusal=asked.names)
    reach = checking.upstream(form, agent, refusal=asked.upstream)
    seen = view.Seen(_status(agent), names.hop, reach.hop if reach else None)
    route = view.draft_route(form.data, dict(form.refusals()), agent, form.certificate_words(), seen)
    return {
        "form": form,
        "host": host,
        "names_check": names,
        "upstream_check": reach,
        "sections": sections(form),
        "name": display_name(host.primary_name) if host else "",
        "file": file if is_valid else None,
        "hops": route,
        "is_draft": draft,
        "others": _other_changes(agent, host),
        "join": joining.offer(form, request.form),
        "origin": joining.origin(request.args) if not draft and host is None else None,
        **_history(host),
    }


def _history(host: ProxyHost | None) -> dict[str, object]:
    """What the page shows beside the form; parts of it that are drawn anew do not hold it."""
    return {} if host is None or htmx.is_htmx() else history.values(host, history.SHOWN_BESIDE)


def _draft_file(form: ProxyHostForm, host: ProxyHost | None, agent: Agent | None) -> preview.FileView | None:
    return preview.of_draft(host, form.spec(), agent) if agent else None


def _other_changes(agent: Agent | None, host: ProxyHost | None) -> str:
    """The names that an apply would make live too; empty when there are none."""
    others = waiting.others(agent, host) if agent else waiting.NOBODY
    return view.name_some([display_name(name) for name in others.names], others.count)


def _status(agent: Agent | None) -> AgentStatus | None:
    return agents.status(agent, utcnow(), current_app.config["WAYPOST"]) if agent else None
