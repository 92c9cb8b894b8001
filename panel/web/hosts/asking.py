"""The form asks the agent: where the typed names lead to, and whether the typed upstream is reached. Saves nothing.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, render_template
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Conflict, Throttled
from panel.extensions import transaction
from panel.models import Command, ProxyHost
from panel.services import commands, form_checks
from panel.web import htmx
from panel.web.access import actor
from panel.web.hosts import checking, form_page
from panel.web.hosts.forms import ProxyHostForm

NAMES_WAIT, UPSTREAM_WAIT = 5.0, 9.0  # seconds for an answer: a little more than the agent takes at most


def check_names() -> BaseResponse:
    """Asks the agent where the typed names lead to, and shows the answer."""
    host = form_page.posted_host()
    form = form_page.open_form(host)
    agent, typed = form.chosen_agent(), form.typed_names()
    refusal = _ask(lambda: form_checks.look_up(agent, typed, actor()), NAMES_WAIT) if agent and typed else ""
    return _answer_check("hosts/_names_answer.html", form, host, form_page.Asked(names=refusal))


def check_upstream() -> BaseResponse:
    """Asks the agent whether nginx reaches the upstream that is typed, and shows the answer."""
    host = form_page.posted_host()
    form = form_page.open_form(host)
    agent, typed = form.chosen_agent(), checking.read_upstream(form)
    refusal = _ask(lambda: form_checks.try_upstream(agent, typed, actor()), UPSTREAM_WAIT) if agent and typed else ""
    return _answer_check("hosts/_upstream_answer.html", form, host, form_page.Asked(upstream=refusal))


def _ask(question: Callable[[], Command], seconds: float) -> str:
    """Waits for the answer, which the page then reads where it was put; why nobody was asked, else ""."""
    try:
        with transaction():
            command_id = question().id
    except (Conflict, Throttled) as refusal:
        return refusal.message
    commands.wait(command_id, seconds)
    return ""


def _answer_check(fragment: str, form: ProxyHostForm, host: ProxyHost | None, asked: form_page.Asked) -> BaseResponse:
    values = form_page.form_values(form, host, draft=True, asked=asked)
    return Response(render_template(fragment if htmx.is_htmx() else "hosts/edit.html", **values))
