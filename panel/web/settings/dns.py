"""The DNS credentials: their list, a form as the provider describes it, a test that is a job.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from flask import Response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Invalid, NotFound
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.models import Agent, DnsCredential
from panel.services import agents, dns_credentials, dns_providers
from panel.services.dns_providers import Provider
from panel.vault import VaultError
from panel.web import htmx
from panel.web.access import actor, administrators_only
from panel.web.filters import day
from panel.web.live import registry
from panel.web.settings import view
from panel.web.settings.forms import CredentialForm, build

LIST = "/settings/dns"
MAX_QUERY = 100


def index() -> str:
    """Every credential, whether it works and who needs it."""
    return render_template("settings/dns.html", credentials=_views(), can_add=bool(dns_providers.list_all()))


@administrators_only
def create() -> BaseResponse:
    """Without a provider the choice of one, with a provider its form."""
    known = _providers()
    provider = known.get(request.args.get("provider", ""))
    if provider is None:
        query = request.args.get("q", "").strip()[:MAX_QUERY]
        groups = view.group(list(known.values()), query)
        page = render_template("settings/dns_providers.html", groups=groups, query=query, total=len(known))
        return Response(page)
    form = build(provider, "", {})
    if request.method == "GET":
        return _answer(form, provider, None)
    try:
        with transaction():
            credential = dns_credentials.create(form.spec(provider), actor())
            dns_credentials.test_saved(credential, _able(credential), actor())
            name, address = credential.name, f"/settings/dns/{credential.id}#test"
    except Invalid as refusal:
        form.attach(refusal)
        return _answer(form, provider, None, 422)
    htmx.toast(
        _("DNS credential %(name)s added. An agent tries it now; then test it with one of your domains.", name=name)
    )
    return htmx.go(address)


@administrators_only
def edit(credential_id: int) -> BaseResponse:
    """Other values. Secrets only go in: what is left empty stays."""
    credential = dns_credentials.get(credential_id)
    provider = _providers().get(credential.provider)
    if provider is None:
        raise NotFound(
            _(
                "No agent that is here now knows this DNS provider, so that its fields are not "
                "known. Wait until an agent is back."
            )
        )
    form = build(provider, credential.name, _shown(credential))
    if request.method == "GET":
        return _answer(form, provider, credential)
    try:
        with transaction():
            credential = dns_credentials.update(dns_credentials.get(credential_id), form.spec(provider), actor())
            dns_credentials.test_saved(credential, _able(credential), actor())
            name = credential.name
    except Invalid as refusal:
        form.attach(refusal)
        return _answer(form, provider, dns_credentials.get(credential_id), 422)
    htmx.toast(_("DNS credential %(name)s saved. An agent tries it now.", name=name))
    return htmx.go(LIST)


@administrators_only
def test(credential_id: int) -> BaseResponse:
    """An agent writes, reads and removes a record of its own; the page of that job comes next."""
    try:
        with transaction():
            credential = dns_credentials.get(credential_id)
            agent = agents.get(request.form.get("agent_id", "")) if request.form.get("agent_id") else _able(credential)
            command = dns_credentials.test(credential, request.form.get("zone", ""), agent, actor())
            address = f"/jobs/{command.id}"
    except Invalid as refusal:
        htmx.toast(refusal.message, kind="bad")
        address = f"/settings/dns/{credential_id}#test"
    return htmx.go(address)


@administrators_only
def delete(credential_id: int) -> BaseResponse:
    """Forgets a credential that no certificate needs."""
    with transaction():
        credential = dns_credentials.get(credential_id)
        name = credential.name
        dns_credentials.delete(credential, actor())
    htmx.toast(_("DNS credential %(name)s deleted.", name=name))
    return htmx.go(LIST)


def regions() -> dict[str, str]:
    """Regions for `/live?topics=dns`: what the last tests said."""
    return {"#credentials": render_template("settings/_credentials.html", credentials=_views())}


def _views() -> list[view.CredentialView]:
    known = _providers()
    return [view.credential(row, known) for row in dns_credentials.list_all()]


def _providers() -> dict[str, Provider]:
    return {provider.id: provider for provider in dns_providers.list_all()}


def _able(credential: DnsCredential) -> Agent:
    """The first agent that knows the provider."""
    provider = _providers().get(credential.provider)
    if provider is None:
        raise Invalid("zone", _("No agent that is here now knows this DNS provider. Wait until one is back."))
    return agents.get(provider.agent_ids[0])


def _shown(credential: DnsCredential) -> dict[str, str]:
    """What may be shown; nothing, when the panel's secret key was changed."""
    try:
        return dns_credentials.public_values(credential)
    except VaultError:
        return {}


def _answer(
    form: CredentialForm, provider: Provider, credential: DnsCredential | None, status: int = 200
) -> BaseResponse:
    able = [agents.get(agent_id) for agent_id in provider.agent_ids]
    shown = view.credential(credential, {provider.id: provider}) if credential else None
    hints = {field.name: _hint(field.help, credential, is_secret=field.is_secret) for field in provider.fields}
    page = render_template(
        "settings/credential.html", form=form, provider=provider, shown=shown, agents=able, hints=hints
    )
    return Response(page, status)


def _hint(help_text: str, credential: DnsCredential | None, *, is_secret: bool) -> str:
    if credential is None or not is_secret:
        return help_text
    kept = _("Set %(day)s. Leave it empty to keep it; what you enter replaces it.", day=day(credential.changed_at))
    return f"{kept} {help_text}".strip()


registry.register("dns", regions, news=("certificates", "jobs", "audit"))
