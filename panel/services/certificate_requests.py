"""Asking for a certificate: from a form, by one click on a host, and again after a failure. One order at a time.
May import: panel.services.{certificate_*,authorities,coverage,commands,deployments,dns_credentials,events,
lineage_names,proxy_hosts} and below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select

from panel.errors import Conflict, Invalid
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Agent, Certificate, CertificateSource, Challenge, Command, CommandKind, ProxyHost, User
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.services import (
    authorities,
    certificate_jobs,
    certificate_links,
    certificate_queries,
    certificate_specs,
    commands,
    coverage,
    deployments,
    dns_credentials,
    events,
    lineage_names,
)
from panel.services.certificate_jobs import ORDERS
from panel.services.certificate_specs import CertificateSpec
from panel.services.proxy_hosts import require_editor


def request(
    spec: CertificateSpec,
    actor: User | None,
    *,
    host: ProxyHost | None = None,
    accept_warnings: bool = False,
    dry_run: bool = False,
) -> Command:
    """Orders a certificate, for `host` if one is given; the same wish while an order is under way gives that order.

    `dry_run` rehearses with the authority's staging and changes nothing. Raises Forbidden, Invalid(field), Conflict.
    """
    require_editor(actor)
    spec = certificate_specs.check(spec)
    if host is not None:
        _check_fits(spec, host)
    _lock(spec.agent_id)
    certificate = _find_same(spec, dry_run=dry_run) or _create(spec, actor)
    if host is not None and not dry_run:
        certificate_links.link(host, certificate, actor)
    return order(certificate, actor, accept_warnings=accept_warnings, dry_run=dry_run)


def request_for_host(host: ProxyHost, actor: User | None, *, force_ssl: bool = True, staging: bool = False) -> Command:
    """One click: the host's certificate by sensible defaults. However often it is asked, there is one order.

    A usable certificate for exactly its names is linked instead; then the apply is returned. `staging` rehearses.
    Raises Forbidden, Invalid(field) for wildcards without a fitting DNS credential, Conflict when it has one already.
    """
    require_editor(actor)
    if host.is_deleted:
        raise Conflict(_("This host was deleted. Bring it back before changing it."))
    _lock(host.agent_id)
    linked = host.certificate
    if linked is not None and coverage.covers(linked, host.domain_names):
        command = _again(linked, actor, staging=staging)
        if command is not None:
            return command
    names = without_doubles(host.domain_names)
    known = _find_fitting(host.agent_id, names, utcnow(), staging=staging)
    certificate = known or _create(_defaults(host, names), actor)
    apply = None if staging else certificate_links.link(host, certificate, actor, force_ssl=force_ssl)
    if known is not None and not staging and coverage.is_usable(known, utcnow()):
        return apply or deployments.apply(host.agent, actor, at_once=True)
    return order(certificate, actor, dry_run=staging)


def order(
    certificate: Certificate,
    actor: User | None,
    *,
    accept_warnings: bool = False,
    dry_run: bool = False,
    retry_of: str | None = None,
) -> Command:
    """The order that is under way, or a new one. Raises Forbidden, Conflict when the agent does not renew it."""
    require_editor(actor)
    require_renewable(certificate)
    under_way = certificate_jobs.find_order(certificate, dry_run=dry_run)
    if under_way is not None:
        return under_way
    values = {"dry_run": dry_run, "accept_warnings": accept_warnings}
    command = certificate_jobs.ask(certificate, CommandKind.ISSUE_CERTIFICATE, actor, values=values, retry_of=retry_of)
    verb = "rehearse" if dry_run else "request"
    names = {"names": list(certificate.domain_names)}
    events.record(actor, "certificate", verb, certificate.id, certificate.name, after=names, command_id=command.id)
    return command


def retry(
    command: Command, actor: User | None, *, accept_warnings: bool = False, staging: bool | None = None
) -> Command:
    """The job once more: with yes said to its warnings, or on the authority's staging (None: as it was).

    Raises Forbidden, Conflict while it is open, when the certificate is gone, or for an upload.
    """
    require_editor(actor)
    if command.is_open:
        raise Conflict(_("This job is still under way. Wait for its end, or cancel it."))
    if command.kind not in ORDERS:
        return commands.retry(command, actor)
    certificate = db.session.get(Certificate, command.certificate_id or 0)
    if certificate is None:
        raise Conflict(_("This certificate was deleted meanwhile. Request it again."))
    is_plain = not accept_warnings and not staging
    if is_plain and command.kind == CommandKind.RENEW_CERTIFICATE:
        return renew(certificate, actor, retry_of=command.id)
    dry_run = bool(command.payload.get("dry_run")) if staging is None else staging
    accept_warnings = accept_warnings or bool(command.payload.get("accept_warnings"))
    return order(certificate, actor, accept_warnings=accept_warnings, dry_run=dry_run, retry_of=command.id)


def renew(certificate: Certificate, actor: User | None, *, retry_of: str | None = None) -> Command:
    """A new one now, before its time; the first one when there is none yet. What is under way is not repeated.

    Raises Forbidden, Conflict when the agent does not renew it.
    """
    require_editor(actor)
    require_renewable(certificate)
    if not certificate.is_present:
        return order(certificate, actor, retry_of=retry_of)
    under_way = certificate_jobs.find_order(certificate)
    if under_way is not None:
        return under_way
    command = certificate_jobs.ask(certificate, CommandKind.RENEW_CERTIFICATE, actor, retry_of=retry_of)
    events.record(actor, "certificate", "renew", certificate.id, certificate.name, command_id=command.id)
    return command


def check(spec: CertificateSpec, actor: User | None) -> Command:
    """Asks the agent what an order would meet, without asking the authority for anything. A question.

    Raises Forbidden, Invalid(field), Conflict for a revoked agent.
    """
    require_editor(actor)
    spec = certificate_specs.check(spec)
    agent = db.session.get_one(Agent, spec.agent_id)
    name = lineage_names.choose(agent.id, spec.domain_names)
    payload = {"name": name, "spec": {**asdict(spec), "domain_names": list(spec.domain_names)}}
    return commands.enqueue(agent, CommandKind.CHECK_NAMES, payload=payload, actor=actor)


def require_renewable(certificate: Certificate) -> None:
    """Raises Conflict for a certificate that its agent does not obtain by itself, with what to do instead."""
    if certificate.source == CertificateSource.UPLOAD:
        raise Conflict(_("%(name)s was uploaded. Upload its successor in its place.", name=certificate.name))
    if certificate.source == CertificateSource.CERTBOT:
        raise Conflict(_("certbot looks after %(name)s. Take it over first.", name=certificate.name))
    authority = certificate.authority
    if authority is None or not authority.is_ready:
        raise Conflict(
            _("%(name)s has no authority that can be asked. Choose one for it first.", name=certificate.name)
        )


def without_doubles(names: Sequence[str]) -> tuple[str, ...]:
    """The names without those that a wildcard among them stands for: authorities refuse both in one certificate."""
    wildcards = {name for name in names if name.startswith("*.")}
    return tuple(name for name in names if name in wildcards or f"*.{name.partition('.')[2]}" not in wildcards)


def columns_of(spec: CertificateSpec) -> dict[str, Any]:
    """A checked spec as the columns of a row."""
    return {**asdict(spec), "domain_names": list(spec.domain_names)}


def _again(linked: Certificate, actor: User | None, *, staging: bool) -> Command | None:
    """What one more click means for a host that has a certificate; None when that one cannot be ordered again."""
    under_way = certificate_jobs.find_order(linked, dry_run=staging)
    if under_way is not None:
        return under_way
    if coverage.is_usable(linked, utcnow()) and not staging:
        raise Conflict(
            _("This host has a certificate already: %(name)s. It can be renewed on its own page.", name=linked.name)
        )
    return order(linked, actor, dry_run=staging) if linked.is_renewable else None


def _find_fitting(agent_id: str, names: Sequence[str], now: datetime, *, staging: bool) -> Certificate | None:
    """A certificate for exactly these names that is usable, or that can be ordered again."""
    default = authorities.default()
    for one in certificate_queries.find_exact(agent_id, names):
        is_trusted = one.authority is None or default is None or one.authority.is_test == default.is_test
        if is_trusted and (one.is_renewable or (coverage.is_usable(one, now) and not staging)):
            return one
    return None


def _find_same(spec: CertificateSpec, *, dry_run: bool) -> Certificate | None:
    """The certificate that this wish is about, if there is one. One that never came takes the new wishes.

    Raises Invalid when there is a usable one from the same authority with the same kind of key.
    """
    for one in certificate_queries.find_exact(spec.agent_id, spec.domain_names):
        is_same = (one.authority_id, one.key_type) == (spec.authority_id, spec.key_type)
        if not one.is_renewable or (one.is_present and not is_same):
            continue
        is_under_way = certificate_jobs.find_open(one, *ORDERS) is not None
        if not one.is_present and not is_under_way:
            _assign(one, spec)
        if coverage.is_usable(one, utcnow()) and not is_under_way and not dry_run:
            raise Invalid(
                "domain_names",
                _(
                    "There is a certificate for exactly these names already: %(name)s. Use it, or "
                    "renew it on its page.",
                    name=one.name,
                ),
            )
        return one
    return None


def _assign(certificate: Certificate, spec: CertificateSpec) -> None:
    for name, value in columns_of(spec).items():
        setattr(certificate, name, value)
    certificate.changed_at = utcnow()
    db.session.flush()
    db.session.expire(certificate, ["authority", "dns_credential"])


def _create(spec: CertificateSpec, actor: User | None) -> Certificate:
    certificate = Certificate(
        **columns_of(spec),
        name=lineage_names.choose(spec.agent_id, spec.domain_names),
        source=CertificateSource.ACME,
        created_by_id=None if actor is None else actor.id,
    )
    db.session.add(certificate)
    db.session.flush()
    wake_after_commit("certificates")
    return certificate


def _defaults(host: ProxyHost, names: tuple[str, ...]) -> CertificateSpec:
    """What one click asks for: the default authority, a P-256 key, HTTP, or DNS where a wildcard needs it."""
    wildcard = next((name for name in names if name.startswith("*.")), None)
    spec = CertificateSpec(host.agent_id, names)
    if wildcard is not None:
        credential = dns_credentials.find_for(host.agent, names)
        if credential is None:
            raise Invalid(
                "dns_credential_id",
                _(
                    "%(display_name)s is a wildcard, which authorities check by DNS only, and no DNS "
                    "credential is known to fit. Request this certificate with the form, and choose "
                    "the credential there.",
                    display_name=display_name(wildcard),
                ),
            )
        spec = CertificateSpec(host.agent_id, names, challenge=Challenge.DNS_01, dns_credential_id=credential.id)
    return certificate_specs.check(spec)


def _check_fits(spec: CertificateSpec, host: ProxyHost) -> None:
    if host.agent_id != spec.agent_id:
        raise Invalid("agent_id", _("This host is on the agent %(name)s. Choose that one.", name=host.agent.name))
    missing = coverage.find_uncovered(spec.domain_names, host.domain_names)
    if missing:
        raise Invalid(
            "domain_names",
            _("The host also has the name %(display_name)s. Add it.", display_name=display_name(missing[0])),
        )


def _lock(agent_id: str) -> None:
    """Whoever asks for a certificate of this agent at the same moment comes after this one, and finds its order."""
    db.session.execute(select(Agent.id).where(Agent.id == agent_id).with_for_update())
