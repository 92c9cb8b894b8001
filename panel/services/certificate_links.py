"""Which certificate a host is served with: linked and unlinked, and what nginx must be told then.
May import: panel.services.{certificate_queries,coverage,deployments,proxy_hosts}, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from panel.errors import Conflict
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Agent, Certificate, Command, ProxyHost, User
from panel.services import certificate_queries, coverage, deployments, proxy_hosts
from panel.services.proxy_hosts import require_editor


def link(
    host: ProxyHost, certificate: Certificate, actor: User | None, *, force_ssl: bool | None = None
) -> Command | None:
    """Serves the host with the certificate: at once by an apply, which is returned, or as soon as the agent has it.

    `force_ssl` None leaves that as it is. Raises Forbidden, Invalid("certificate_id"), Conflict for a deleted host.
    """
    require_editor(actor)
    if host.is_deleted:
        raise Conflict(_("This host was deleted. Bring it back before changing it."))
    coverage.require(certificate.id, host.agent, host.domain_names)
    before = proxy_hosts.describe(host)
    was_serving = host.has_tls
    host.certificate_id = certificate.id
    host.force_ssl = host.force_ssl if force_ssl is None else force_ssl
    if before == proxy_hosts.describe(host):
        return None
    db.session.flush()
    db.session.refresh(host, ["certificate"])
    return _save(host, actor, "link", before, concerns_nginx=was_serving or host.has_tls)


def unlink(host: ProxyHost, actor: User | None) -> Command | None:
    """Serves the host by plain HTTP again; returns the apply if that changes what nginx serves. Raises Forbidden."""
    require_editor(actor)
    if host.certificate_id is None:
        return None
    before, was_serving = proxy_hosts.describe(host), host.has_tls
    host.certificate_id = None
    db.session.flush()
    db.session.refresh(host, ["certificate"])
    return _save(host, actor, "unlink", before, concerns_nginx=was_serving and not host.is_deleted)


def unlink_all(certificate: Certificate, actor: User | None) -> None:
    """Takes the certificate from every host; from deleted ones too, which would come back without it."""
    for host in db.session.scalars(select(ProxyHost).where(ProxyHost.certificate_id == certificate.id)).all():
        unlink(host, actor)


def serve_anew(hosts: Iterable[ProxyHost], agent: Agent) -> Command | None:
    """The files of these hosts are others now, though nobody saved them: has them applied. None when there are none."""
    concerned = [host for host in hosts if host.is_enabled]
    for host in concerned:
        proxy_hosts.note_changed_file(host)
    return deployments.apply(agent, None, at_once=True) if concerned else None


def is_awaited(certificate: Certificate) -> bool:
    """Whether a host that is switched on is to be served with it."""
    return any(host.is_enabled for host in certificate_queries.hosts_using(certificate))


def _save(
    host: ProxyHost, actor: User | None, verb: str, before: dict[str, object], *, concerns_nginx: bool
) -> Command | None:
    """A link to a certificate that is not there yet changes no file, so that nothing waits to be applied."""
    if concerns_nginx:
        proxy_hosts.mark_changed(host)
    else:
        proxy_hosts.mark_saved(host)
    proxy_hosts.record(actor, verb, host, before=before)
    wake_after_commit("certificates")
    is_revoked = host.agent.is_revoked
    return deployments.apply(host.agent, actor, at_once=True) if concerns_nginx and not is_revoked else None
