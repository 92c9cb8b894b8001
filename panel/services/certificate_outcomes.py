"""What the end of a command about a certificate means for its row; the agent's reports say what lies on its disk.
May import: panel.services.{certificate_jobs,certificates,dns_credentials}, panel.models."""

from __future__ import annotations

from panel.extensions import db, wake_after_commit
from panel.models import Certificate, Command, CommandKind
from panel.services import certificates, dns_credentials
from panel.services.certificate_jobs import ORDERS


def settle(command: Command) -> None:
    """Draws the consequences of a command that has just ended: an attempt that failed, a deletion that is done."""
    kind = CommandKind(command.kind)
    if kind is CommandKind.CHECK_DNS_CREDENTIAL:
        dns_credentials.note_test(command)
        return
    certificate = db.session.get(Certificate, command.certificate_id or 0)
    if certificate is None:
        return
    if kind is CommandKind.DELETE_CERTIFICATE and command.has_succeeded:
        certificates.forget(certificate)
    elif kind in ORDERS and certificate.reported_at is None and not command.result.get("dry_run"):
        _note_attempt(certificate, command)
    wake_after_commit("certificates")


def _note_attempt(certificate: Certificate, command: Command) -> None:
    """Of a certificate that its agent has never reported; from then on the reports say all of it."""
    certificate.last_attempt_at = command.started_at or command.finished_at
    failure = command.result.get("failure")
    if command.has_succeeded:
        certificate.failures, certificate.last_failure = 0, None
    elif failure:
        certificate.failures, certificate.last_failure = max(1, certificate.failures), failure
    db.session.flush()
