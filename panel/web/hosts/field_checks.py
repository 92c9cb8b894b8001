"""One field of the form, as soon as it is left: the checks that it meets when it is saved. Saves nothing.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Invalid
from panel.models import ProxyHost
from panel.services import domain_names
from panel.web import htmx
from panel.web.hosts import form_page
from panel.web.hosts.forms import ProxyHostForm

# The fields that can be asked about, each with those that may be right or wrong by its value.
CHECKED: Mapping[str, Sequence[str]] = {
    "domain_names": (),
    "forward_host": (),
    "forward_port": (),
    "agent_id": ("domain_names",),
    "tags": (),
    "notes": (),
}

NAMED = frozenset({"forward_host", "forward_port"})  # what is wrong with one of them stands in the same place


def check_field() -> BaseResponse:
    """What is wrong with the field that the address names, as it is typed; for a browser without scripts the page."""
    host = form_page.posted_host()
    form = form_page.open_form(host)
    if not htmx.is_htmx():
        return Response(render_template("hosts/edit.html", **form_page.form_values(form, host, draft=True)))
    name = request.args.get("field", "")
    form.validate()
    _add_facts(form, host)
    field = form[name] if name in CHECKED else None
    others = [form[other] for other in CHECKED.get(name, ()) if form[other].data]  # what is empty is no fault yet
    values = {"field": field, "is_named": name in NAMED, "others": others}
    return Response(render_template("hosts/_field_answer.html", **values))


def _add_facts(form: ProxyHostForm, host: ProxyHost | None) -> None:
    """What no look at the text tells: that another host has the name."""
    agent = form.chosen_agent()
    if agent is None or form.domain_names.errors:
        return
    try:
        domain_names.refuse_taken(agent.id, form.typed_names(), but_not=host)
    except Invalid as refusal:
        form.attach(refusal)
