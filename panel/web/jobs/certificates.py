"""What the page of a job about a certificate shows beside its steps: the certificate, its records, its findings.
May import: panel.models, panel.services, panel.nginx.grammar, panel.web."""

from __future__ import annotations

from collections.abc import Sequence

from panel.errors import NotFound
from panel.i18n import gettext as _
from panel.models import Certificate, Command
from panel.nginx.grammar import display_name
from panel.services import certificates, jobs
from panel.web.certificates import words as certificate_words
from panel.web.certificates.findings import Finding, findings, parse_record
from panel.web.jobs import words
from panel.web.jobs.cards import Fact
from panel.web.jobs.steps import Progress

NAMES_IN_TITLE = 2


def of(command: Command) -> Certificate | None:
    """The certificate that the job is about; None when there is none, or not any more."""
    if command.certificate_id is None:
        return None
    try:
        return certificates.get(command.certificate_id)
    except NotFound:
        return None


def title(command: Command, certificate: Certificate | None) -> str:
    """What was asked, and for which names."""
    subject = some_names(certificate.names) if certificate else words.subject_of(command)
    kind = words.kind_of(command)
    return f"{kind}: {subject}" if subject else _("%(kind)s on %(agent)s", kind=kind, agent=command.agent.name)


def some_names(names: Sequence[str]) -> str:
    """The first two names, and how many more there are."""
    shown = [display_name(name) for name in names[:NAMES_IN_TITLE]]
    rest = len(names) - len(shown)
    return ", ".join(shown) + _(" and %(rest)s more", rest=rest) if rest else _(" and ").join(shown)


def progress(command: Command, certificate: Certificate | None) -> Progress:
    """How far it came, and what the running stage has to say."""
    marks = jobs.stage_marks(command.id)
    if not command.is_open or not marks:
        return Progress(marks)
    stage = marks[-1].stage
    return Progress(
        marks,
        challenge=certificate.challenge if certificate else "",
        news=jobs.last_line(command.id, stage) if command.certificate_id else "",
        records=tuple(parse_record(text) for text in jobs.texts(command.id, "record")),
    )


def found(command: Command) -> list[Finding]:
    """What the check before the order found."""
    return findings(command.result.get("findings", []))


def facts(command: Command, certificate: Certificate | None) -> list[Fact]:
    """The request in a few lines."""
    if certificate is None:
        subject = words.subject_of(command)
        if command.payload.get("dns_credential_id") is not None:
            return [Fact(_("Credential"), _("DNS credentials"), "/settings/dns")]
        return [Fact(_("Certificate"), subject, is_code=True)] if command.certificate_id else []
    names = ", ".join(display_name(name) for name in certificate.names)
    lines = [Fact(_("Names"), names, f"/certificates/{certificate.id}", is_code=True)]
    if certificate.is_renewable:
        lines += [
            Fact(_("Authority"), certificate_words.authority(certificate)),
            Fact(_("Challenge"), certificate_words.challenge(certificate)),
            Fact(_("Key"), certificate_words.key_type(certificate.key_type)),
        ]
    return lines
