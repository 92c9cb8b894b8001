"""What people do with certificates; this module has all the verbs, those of requests and uploads live beside it.
May import: panel.services.{certificate_*,commands,events,proxy_hosts} and below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from panel.errors import Conflict, Invalid
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Agent, Certificate, CertificateSource, Command, CommandKind, ProxyHost, User
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.services import certificate_jobs, certificate_links, certificate_queries, certificate_specs, events
from panel.services.certificate_jobs import find_open, history_of
from panel.services.certificate_links import link, unlink
from panel.services.certificate_queries import get, hosts_using, is_due, list_page, users_of
from panel.services.certificate_requests import (
    check,
    columns_of,
    renew,
    request,
    request_for_host,
    retry,
    without_doubles,
)
from panel.services.certificate_specs import CertificateSpec, spec_of
from panel.services.certificate_uploads import upload
from panel.services.proxy_hosts import require_editor

__all__ = [
    "REVOCATION_REASONS",
    "CertificateSpec",
    "check",
    "covering",
    "delete",
    "find_open",
    "forget",
    "get",
    "history_of",
    "hosts_matching",
    "hosts_using",
    "is_due",
    "link",
    "list_page",
    "matching",
    "pause",
    "renew",
    "request",
    "request_for_host",
    "resume",
    "retry",
    "revoke",
    "spec_of",
    "take_over",
    "unlink",
    "update",
    "upload",
    "users_of",
    "without_doubles",
]

NOUN = "certificate"
# RFC 5280 section 5.3.1; those that authorities take from a subscriber.
REVOCATION_REASONS = {
    0: lazy_gettext("No particular reason"),
    1: lazy_gettext("The key is in wrong hands"),
    3: lazy_gettext("The names belong to somebody else now"),
    4: lazy_gettext("Another certificate has taken its place"),
    5: lazy_gettext("It is not needed any more"),
}


def matching(host: ProxyHost) -> list[Certificate]:
    """The certificates that this host can be served with: usable ones first, those that last longest before others."""
    return certificate_queries.matching(host.agent_id, host.domain_names)


def covering(agent: Agent, names: Sequence[str]) -> list[Certificate]:
    """The same for a host that is not saved yet."""
    return certificate_queries.matching(agent.id, names)


def hosts_matching(certificate: Certificate) -> list[ProxyHost]:
    """The hosts of its agent that could be served with it and are not yet, by name."""
    return certificate_queries.hosts_matching(certificate)


def update(certificate: Certificate, spec: CertificateSpec, actor: User | None) -> Command | None:
    """Changes by whom, how and with which key it is renewed; the names stay. Orders nothing, but tells the agent.

    None when the agent has nothing to learn. Raises Forbidden, Invalid(field), Conflict when it is not renewed here.
    """
    require_editor(actor)
    if not certificate.is_renewable:
        raise Conflict(
            _(
                "The agent does not renew %(name)s, so there is nothing to set. Change it where it is renewed.",
                name=certificate.name,
            )
        )
    spec = certificate_specs.check(_with_own_names(certificate, spec))
    before = describe(certificate)
    for name, value in columns_of(spec).items():
        setattr(certificate, name, value)
    if before == describe(certificate):
        return None
    _note_change(certificate)
    command = certificate_jobs.configure(certificate, actor)
    _record(actor, "update", certificate, command, before=before, after=describe(certificate))
    return command


def pause(certificate: Certificate, actor: User | None) -> Certificate:
    """It is not renewed by itself until somebody resumes it. Raises Forbidden, Conflict when it is not renewed here."""
    return _set_paused(certificate, actor, is_paused=True)


def resume(certificate: Certificate, actor: User | None) -> Certificate:
    """It is renewed by itself again. Raises Forbidden, Conflict when it is not renewed here."""
    return _set_paused(certificate, actor, is_paused=False)


def revoke(certificate: Certificate, actor: User | None, *, reason: int = 0) -> Command:
    """Has the authority declare it invalid for ever. `reason` is one of REVOCATION_REASONS.

    Raises Forbidden, Invalid("reason"), Conflict when there is nothing to revoke.
    """
    require_editor(actor)
    if reason not in REVOCATION_REASONS:
        raise Invalid("reason", _("Choose one of the reasons in the list."))
    if certificate.source != CertificateSource.ACME:
        raise Conflict(
            _("%(name)s was not issued through Waypost. Revoke it where it was bought.", name=certificate.name)
        )
    if not certificate.serial or certificate.revoked_at is not None:
        raise Conflict(
            _("%(name)s is revoked already, or was never issued, so there is nothing to revoke.", name=certificate.name)
        )
    under_way = certificate_jobs.find_open(certificate, CommandKind.REVOKE_CERTIFICATE)
    if under_way is not None:
        return under_way
    values = {"reason": reason}
    command = certificate_jobs.ask(certificate, CommandKind.REVOKE_CERTIFICATE, actor, values=values)
    _record(actor, "revoke", certificate, command, after={"reason": REVOCATION_REASONS[reason]})
    return command


def take_over(certificate: Certificate, spec: CertificateSpec, actor: User | None) -> Command:
    """From now on the agent renews what certbot did, by `spec`; its names are those of the certificate.

    Raises Forbidden, Invalid(field), Conflict when certbot does not look after it.
    """
    require_editor(actor)
    if certificate.source != CertificateSource.CERTBOT:
        raise Conflict(
            _("certbot does not look after %(name)s, so there is nothing to take over.", name=certificate.name)
        )
    spec = certificate_specs.check(_with_own_names(certificate, spec))
    under_way = certificate_jobs.find_open(certificate, CommandKind.TAKE_OVER_CERTIFICATE)
    if under_way is not None:
        return under_way
    before = describe(certificate)
    for name, value in columns_of(spec).items():
        setattr(certificate, name, value)
    _note_change(certificate)
    command = certificate_jobs.ask(certificate, CommandKind.TAKE_OVER_CERTIFICATE, actor)
    _record(actor, "take-over", certificate, command, before=before, after=describe(certificate))
    return command


def delete(certificate: Certificate, actor: User | None, *, unlink: bool = False) -> Command | None:
    """Takes its files from the agent, then its row from here. `unlink` first serves its hosts by plain HTTP.

    None when nothing is left to ask: its agent was revoked, so the row goes at once.
    Raises Forbidden, Conflict naming the hosts that use it, or while it is ordered.
    """
    require_editor(actor)
    hosts = certificate_queries.hosts_using(certificate)
    if hosts and not unlink:
        raise Conflict(_in_use(certificate, hosts))
    if certificate_jobs.find_open(certificate, *certificate_jobs.BRING_FILES) is not None:
        raise Conflict(
            _("%(name)s is on its way to the agent. Cancel that job first, or wait for its end.", name=certificate.name)
        )
    certificate_links.unlink_all(certificate, actor)
    if certificate.agent.is_revoked:
        _record(actor, "delete", certificate, None, before=describe(certificate))
        forget(certificate)
        return None
    under_way = certificate_jobs.find_open(certificate, CommandKind.DELETE_CERTIFICATE)
    if under_way is not None:
        return under_way
    # On nginx's own resource it comes after the apply: until then nginx reads the files.
    resource = "nginx" if hosts else None
    command = certificate_jobs.ask(certificate, CommandKind.DELETE_CERTIFICATE, actor, resource=resource)
    _record(actor, "delete", certificate, command, before=describe(certificate))
    return command


def forget(certificate: Certificate) -> None:
    """Removes the row; its jobs and its history stay. Hosts that were deleted with it come back without it."""
    certificate_links.unlink_all(certificate, None)
    db.session.delete(certificate)
    db.session.flush()
    wake_after_commit("certificates")


def describe(certificate: Certificate) -> dict[str, Any]:
    """The values that people set, as the audit log keeps them."""
    who = ("agent_id", "authority_id", "source", "is_paused")
    how = ("challenge", "dns_credential_id", "propagation_seconds", "key_type", "profile")
    return {"names": list(certificate.names)} | {name: getattr(certificate, name) for name in (*who, *how)}


def _set_paused(certificate: Certificate, actor: User | None, *, is_paused: bool) -> Certificate:
    require_editor(actor)
    if not certificate.is_renewable:
        raise Conflict(_("The agent does not renew %(name)s, so there is nothing to pause.", name=certificate.name))
    if certificate.is_paused == is_paused:
        return certificate
    certificate.is_paused = is_paused
    _note_change(certificate)
    command = certificate_jobs.configure(certificate, actor)
    before, after = {"is_paused": not is_paused}, {"is_paused": is_paused}
    _record(actor, "pause" if is_paused else "resume", certificate, command, before=before, after=after)
    return certificate


def _with_own_names(certificate: Certificate, spec: CertificateSpec) -> CertificateSpec:
    return replace(spec, agent_id=certificate.agent_id, domain_names=tuple(certificate.names))


def _note_change(certificate: Certificate) -> None:
    certificate.changed_at = utcnow()
    db.session.flush()
    db.session.expire(certificate, ["authority", "dns_credential"])
    wake_after_commit("certificates")


def _in_use(certificate: Certificate, hosts: list[ProxyHost]) -> str:
    shown = ", ".join(display_name(host.primary_name) for host in hosts[:3])
    more = _(" and %(more)s more", more=len(hosts) - 3) if len(hosts) > 3 else ""
    return _(
        "%(name)s is used by %(hosts)s. Choose another certificate there first, or unlink it.",
        name=certificate.name,
        hosts=shown + more,
    )


def _record(
    actor: User | None,
    verb: str,
    certificate: Certificate,
    command: Command | None,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    command_id = None if command is None else command.id
    events.record(
        actor, NOUN, verb, certificate.id, certificate.name, before=before, after=after, command_id=command_id
    )
