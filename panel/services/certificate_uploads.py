"""Certificates that a person brings: sent to the agent once, the key kept no longer than that takes.
May import: panel.services.{certificate_*,context,coverage,events,lineage_names,proxy_hosts,uploads} and below."""

from __future__ import annotations

from panel.errors import Conflict, Invalid
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Agent, Certificate, CertificateSource, Command, CommandKind, UploadedKey, User
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.services import (
    certificate_jobs,
    certificate_queries,
    context,
    coverage,
    events,
    lineage_names,
    uploads,
)
from panel.services.proxy_hosts import require_editor
from panel.services.uploads import Upload


def upload(
    agent_id: str,
    certificate_pem: str,
    chain_pem: str,
    key_pem: str,
    passphrase: str,
    *,
    actor: User | None,
    replaces: Certificate | None = None,
) -> Command:
    """Sends a certificate to an agent, in the place of `replaces` if one is given: hosts that use that keep using it.

    The command's payload has "warnings": sentences for the person. Raises Forbidden, Conflict, and Invalid at
    "agent_id", "certificate_pem", "chain_pem", "key_pem" or "passphrase".
    """
    require_editor(actor)
    agent = db.session.get(Agent, agent_id)
    if agent is None or agent.is_revoked:
        raise Invalid("agent_id", _("This agent does not exist any more. Choose another one."))
    found = uploads.parse(certificate_pem, chain_pem, key_pem, passphrase, utcnow())
    certificate = _create(agent, found, actor) if replaces is None else _replace(agent, found, replaces)
    values = {"fullchain_pem": found.fullchain_pem, "warnings": list(found.warnings)}
    command = certificate_jobs.ask(certificate, CommandKind.INSTALL_CERTIFICATE, actor, values=values)
    db.session.add(UploadedKey(command_id=command.id, sealed_key=context.vault().seal(found.key_pem)))
    after = {"names": list(found.names), "not_after": found.not_after.isoformat(), "issuer": found.issuer}
    verb = "upload" if replaces is None else "replace"
    events.record(actor, "certificate", verb, certificate.id, certificate.name, after=after, command_id=command.id)
    wake_after_commit("certificates")
    return command


def _create(agent: Agent, found: Upload, actor: User | None) -> Certificate:
    certificate = Certificate(
        agent_id=agent.id,
        name=lineage_names.choose(agent.id, found.names),
        domain_names=list(found.names),
        source=CertificateSource.UPLOAD,
        created_by_id=None if actor is None else actor.id,
    )
    db.session.add(certificate)
    db.session.flush()
    return certificate


def _replace(agent: Agent, found: Upload, certificate: Certificate) -> Certificate:
    _check_replaceable(agent, certificate)
    _check_covered(certificate, found)
    certificate.domain_names = list(found.names)
    certificate.changed_at = utcnow()
    db.session.flush()
    return certificate


def _check_replaceable(agent: Agent, certificate: Certificate) -> None:
    if certificate.source != CertificateSource.UPLOAD:
        raise Conflict(
            _(
                "%(name)s is renewed by itself, so nothing can be uploaded in its place. Upload it as a new one.",
                name=certificate.name,
            )
        )
    if certificate.agent_id != agent.id:
        raise Conflict(
            _(
                "%(name)s lies on the agent %(name_2)s. Upload its successor there.",
                name=certificate.name,
                name_2=certificate.agent.name,
            )
        )
    if certificate_jobs.find_open(certificate, CommandKind.INSTALL_CERTIFICATE) is not None:
        raise Conflict(_("An upload for %(name)s is under way. Wait for its end, or cancel it.", name=certificate.name))


def _check_covered(certificate: Certificate, found: Upload) -> None:
    """Hosts that use it go on using it, so that it must be for all of their names."""
    for host in certificate_queries.hosts_using(certificate):
        missing = coverage.find_uncovered(found.names, host.domain_names)
        if missing:
            shown = display_name(missing[0])
            raise Invalid(
                "certificate_pem",
                _(
                    "It is not for %(shown)s, which a host needs that uses %(name)s. Upload one for all of them.",
                    shown=shown,
                    name=certificate.name,
                ),
            )
