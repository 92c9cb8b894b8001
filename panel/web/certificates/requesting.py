"""The request form at work: open it, check first, request; and the same fields for how a certificate is renewed.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.models import Certificate, Challenge, Command, KeyType, ProxyHost
from panel.nginx.grammar import display_name
from panel.services import agents, authorities, certificates, commands, dns_credentials, proxy_hosts
from panel.web import htmx
from panel.web.access import actor
from panel.web.certificates.forms import RenewalForm, RequestForm, number, renewal_values
from panel.web.jobs.view import view as job_view


def create() -> BaseResponse:
    """A new certificate, empty or for a host (?host=<id>). Its job comes next."""
    require_editor()
    host = _host(request.values.get("host_id") or request.args.get("host", ""))
    form = _open_form(host)
    if request.method == "GET" or "switch" in request.form:  # only looked at, or turned to DNS by one click
        return _answer(form, host)
    return _submit(form, host, lambda: _request(form, host), lambda command: htmx.go(f"/jobs/{command.id}"))


def check() -> BaseResponse:
    """Only the check: what an order would meet. Nothing is saved and no authority is asked."""
    host = _host(request.form.get("host_id", ""))
    form = _open_form(host)
    return _submit(form, host, lambda: certificates.check(form.request_spec(), actor()), _show_check)


def edit(certificate_id: int) -> BaseResponse:
    """How a certificate is renewed from now on; orders nothing."""
    return _renewal(certificate_id, "certificates/edit.html", _update)


def take_over(certificate_id: int) -> BaseResponse:
    """What certbot did until now is done by the agent; certbot leaves it alone."""
    return _renewal(certificate_id, "certificates/take_over.html", _take_over)


def require_editor() -> None:
    """A form that could only be refused is not shown at all."""
    if not actor().may_edit:
        raise Forbidden(_("Your role lets you look, not change. Ask an administrator for the operator role."))


def _submit(
    form: RequestForm, host: ProxyHost | None, act: Callable[[], Command], answer: Callable[[Command], BaseResponse]
) -> BaseResponse:
    if not form.validate():
        return _answer(form, host, 422)
    try:
        with transaction():
            command_id = act().id
    except Invalid as refusal:
        form.attach(refusal)
        return _answer(form, host, 422)
    except Conflict as refusal:
        return _answer(form, host, refusal.status, trouble=refusal.message)
    return answer(commands.get(command_id))


def _request(form: RequestForm, host: ProxyHost | None) -> Command:
    command = certificates.request(form.request_spec(), actor(), host=_again(host))
    if host is not None and command.certificate_id is not None:
        certificate = certificates.get(command.certificate_id)
        certificates.link(proxy_hosts.get(host.id), certificate, actor(), force_ssl=bool(form.force_ssl.data))
    return command


def _again(host: ProxyHost | None) -> ProxyHost | None:
    """The host as it is within this transaction."""
    return None if host is None else proxy_hosts.get(host.id)


def _show_check(command: Command) -> BaseResponse:
    if not htmx.is_htmx():
        return htmx.go(f"/jobs/{command.id}")
    return Response(render_template("certificates/_check.html", job=job_view(command)))


def _open_form(host: ProxyHost | None) -> RequestForm:
    """The form with what was posted, else with a host's names, else empty."""
    default = authorities.default()
    wildcard = host is not None and any(name.startswith("*.") for name in host.domain_names)
    names = list(map(display_name, certificates.without_doubles(host.domain_names))) if host else []
    form = RequestForm(
        data={
            "domain_names": "\n".join(names),
            "authority_id": str(default.id) if default else "",
            "challenge": Challenge.DNS_01 if wildcard else Challenge.HTTP_01,
            "key_type": KeyType.EC_256,
            "agent_id": host.agent_id if host else "",
            "host_id": str(host.id) if host else "",
            "force_ssl": True,
        }
    )
    form.offer(authorities.list_all(), dns_credentials.list_all())
    form.offer_agents(agent for agent in agents.list_all() if not agent.is_revoked)
    if request.form.get("switch") == Challenge.DNS_01:  # the one click beside the wildcard's sentence
        form.challenge.data = Challenge.DNS_01.value
    return form


def _answer(form: RequestForm, host: ProxyHost | None, status: int = 200, trouble: str = "") -> BaseResponse:
    response = htmx.render(
        "certificates/new.html",
        "certificates/_form.html",
        status,
        form=form,
        host=host,
        host_name=display_name(host.primary_name) if host else "",
        trouble=trouble,
    )
    if status != 200:
        # "Check first" swaps its own corner; a refusal belongs to the form whichever button was pressed.
        response.headers["HX-Retarget"] = "#certificate-form"
        response.headers["HX-Reswap"] = "outerMorph"
    return response


def _host(text: str) -> ProxyHost | None:
    if number(text) < 0:
        return None
    try:
        host = proxy_hosts.get(number(text))
    except NotFound:
        return None
    return None if host.is_deleted else host


def _renewal(
    certificate_id: int, page: str, act: Callable[[Certificate, RenewalForm], tuple[str, str]]
) -> BaseResponse:
    require_editor()
    certificate = certificates.get(certificate_id)
    form = RenewalForm(data=renewal_values(certificate, authorities.default()))
    form.offer(authorities.list_all(), dns_credentials.list_all())
    values: dict[str, Any] = {"form": form, "certificate": certificate, "name": display_name(certificate.names[0])}
    if request.method == "GET" or not form.validate():
        return Response(render_template(page, **values), 200 if request.method == "GET" else 422)
    try:
        with transaction():
            said, address = act(certificates.get(certificate_id), form)
    except Invalid as refusal:
        form.attach(refusal)
        return Response(render_template(page, **values), 422)
    if said:
        htmx.toast(said)
    return htmx.go(address)


def _update(certificate: Certificate, form: RenewalForm) -> tuple[str, str]:
    spec = form.spec(certificate.agent_id, tuple(certificate.names))
    certificates.update(certificate, spec, actor())
    return _("Renewal saved. It counts from the next one on."), f"/certificates/{certificate.id}"


def _take_over(certificate: Certificate, form: RenewalForm) -> tuple[str, str]:
    spec = form.spec(certificate.agent_id, tuple(certificate.names))
    return "", f"/jobs/{certificates.take_over(certificate, spec, actor()).id}"
