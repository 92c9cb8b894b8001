"""The authorities: their list, one's form, the default and the order to fall back on.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from typing import Any

from flask import Response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Invalid
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.models import AcmeAuthority
from panel.services import authorities, certificate_jobs
from panel.web import htmx
from panel.web.access import actor, administrators_only
from panel.web.audit import offer
from panel.web.certificates.forms import number
from panel.web.live import registry
from panel.web.settings import view
from panel.web.settings.forms import AuthorityForm, authority_values

LIST = "/settings/authorities"


def index() -> str:
    """Every authority, and who is asked when one fails."""
    return render_template("settings/authorities.html", authorities=_views(), fallbacks=authorities.fallbacks())


@administrators_only
def create() -> BaseResponse:
    """Any ACME directory, for example that of a company."""
    form = AuthorityForm()
    if request.method == "GET":
        return _answer(form, None)
    try:
        with transaction():
            name = authorities.create(form.spec(), actor()).name
    except Invalid as refusal:
        form.attach(refusal)
        return _answer(form, None, 422)
    htmx.toast(_("Authority %(name)s added.", name=name))
    return htmx.go(LIST)


@administrators_only
def edit(authority_id: int) -> BaseResponse:
    """Other settings; the agents that order there are told."""
    authority = authorities.get(authority_id)
    form = AuthorityForm(data=authority_values(authority))
    if request.method == "GET":
        return _answer(form, authority)
    try:
        with transaction():
            authority = authorities.update(authorities.get(authority_id), form.spec(), actor())
            certificate_jobs.configure_all(authorities.users_of(authority), actor())
            name = authority.name
    except Invalid as refusal:
        form.attach(refusal)
        return _answer(form, authorities.get(authority_id), 422)
    htmx.toast(_("Authority %(name)s saved.", name=name))
    return htmx.go(LIST)


@administrators_only
def set_default(authority_id: int) -> BaseResponse:
    """From now on it is asked unless somebody chooses another one."""
    with transaction():
        authority = authorities.get(authority_id)
        authorities.set_default(authority, actor())
        name = authority.name
        undo_url = offer.undo_url("acme_authority")
    htmx.toast(_("%(name)s is the default now.", name=name), undo_url=undo_url)
    return htmx.go(LIST)


@administrators_only
def set_fallbacks() -> BaseResponse:
    """Who is asked, and in which order, when the one of a certificate keeps failing."""
    wanted = []
    for row in authorities.list_all():
        position = number(request.form.get(f"position-{row.id}"))
        if position > 0:
            wanted.append((position, row.id))
    try:
        with transaction():
            authorities.set_fallbacks([authority_id for _, authority_id in sorted(wanted)], actor())
            for row in authorities.list_all():
                certificate_jobs.configure_all(authorities.users_of(row), actor())
            undo_url = offer.undo_url("acme_authority")
    except Invalid as refusal:
        htmx.toast(refusal.message, kind="bad")
        return htmx.go(LIST)
    htmx.toast(_("Order saved."), undo_url=undo_url)
    return htmx.go(LIST)


@administrators_only
def delete(authority_id: int) -> BaseResponse:
    """Forgets an authority that nothing is renewed at."""
    with transaction():
        authority = authorities.get(authority_id)
        name = authority.name
        authorities.delete(authority, actor())
    htmx.toast(_("Authority %(name)s deleted.", name=name))
    return htmx.go(LIST)


def _answer(form: AuthorityForm, authority: AcmeAuthority | None, status: int = 200) -> BaseResponse:
    values: dict[str, Any] = {"form": form, "authority": authority}
    if authority is not None:
        values["users"] = authorities.users_of(authority)
    return Response(render_template("settings/authority.html", **values), status)


def _views() -> list[view.AuthorityView]:
    return [view.authority(row) for row in authorities.list_all()]


def _regions() -> dict[str, str]:
    """Regions for `/live?topics=authorities`."""
    return {"#authorities": render_template("settings/_authorities.html", authorities=_views())}


registry.register("authorities", _regions, news=("certificates", "audit"))
