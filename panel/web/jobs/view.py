"""What a job's page shows, gathered once for the page and for its stream, so that they cannot differ.
May import: panel.models, panel.services, panel.web.{certificates,filters,jobs}."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from panel.i18n import gettext as _
from panel.i18n import midst
from panel.models import Certificate, Command, CommandKind
from panel.models.types import utcnow
from panel.services import certificates as certificate_service
from panel.services import jobs
from panel.web.certificates import words as certificate_words
from panel.web.certificates.findings import Finding
from panel.web.filters import duration
from panel.web.jobs import certificates, docker, steps, words
from panel.web.jobs.cards import Evidence, Fact, Failure
from panel.web.jobs.failure import explain


@dataclass(frozen=True)
class JobView:
    """One job, ready to be shown."""

    command: Command
    title: str
    status_kind: str
    status_word: str
    elapsed: timedelta | None
    steps: list[steps.Step]
    failure: Failure | None
    facts: list[Fact]
    warnings: list[str]
    follow_up: Command | None
    certificate: Certificate | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether more is to come."""
        return self.command.is_open

    @property
    def status_text(self) -> str:
        """The words of the pill: how it ended, and after how long."""
        says_answer = self.command.kind in words.ANSWERS and self.command.has_succeeded
        if self.is_open or self.elapsed is None or self.needs_confirmation or says_answer:
            return self.status_word
        took = duration(self.elapsed)
        if self.command.has_succeeded:
            return _("%(word)s in %(took)s", word=self.status_word, took=took)
        return _("%(word)s after %(took)s", word=self.status_word, took=took)

    @property
    def spoken_step(self) -> str:
        """One sentence for who listens instead of looking."""
        for number, step in enumerate(self.steps, 1):
            if step.is_current:
                return _(
                    "Step %(number)s of %(len)s, %(lower)s: %(label)s.",
                    number=number,
                    len=len(self.steps),
                    lower=midst(step.spoken),
                    label=step.label,
                )
        return f"{self.title}: {self.status_word}."

    @property
    def can_cancel(self) -> bool:
        """Whether it can still be taken back."""
        return self.command.is_open

    @property
    def needs_confirmation(self) -> bool:
        """Whether only a person's yes is missing."""
        return self.can_retry and bool(self.command.result.get("needs_confirmation"))

    @property
    def can_try_staging(self) -> bool:
        """Whether a rehearsal at the authority's staging would tell more."""
        authority = self.certificate.authority if self.certificate else None
        is_request = self.command.kind in {CommandKind.ISSUE_CERTIFICATE, CommandKind.RENEW_CERTIFICATE}
        has_staging = authority is not None and bool(authority.staging_directory_url)
        return self.can_retry and is_request and has_staging and not self.is_dry_run

    @property
    def can_request_for_real(self) -> bool:
        """Whether the rehearsal went well and the certificate itself is still to be asked for."""
        return self.is_dry_run and self.command.has_succeeded and self.certificate is not None

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing of it is installed."""
        return words.is_dry_run(self.command)

    @property
    def is_test(self) -> bool:
        """Whether no browser trusts what comes of it."""
        return self.certificate is not None and certificate_words.is_test(self.certificate)

    @property
    def is_check(self) -> bool:
        """Whether findings are all that was asked for."""
        return self.command.kind == CommandKind.CHECK_NAMES

    @property
    def answer(self) -> str:
        """What a test of a credential found, in the agent's sentence."""
        is_test = self.command.kind == CommandKind.CHECK_DNS_CREDENTIAL and self.command.has_succeeded
        return str(self.command.result.get("sentence", "")) if is_test else ""

    @property
    def asked_by(self) -> str:
        """The person, or what acted by itself."""
        if self.command.created_by is not None:
            return self.command.created_by.username
        return _("the agent") if self.command.kind == CommandKind.RENEW_CERTIFICATE else _("the panel")

    @property
    def can_retry(self) -> bool:
        """Whether a new one like it makes sense."""
        is_over_badly = not self.command.is_open and not self.command.has_succeeded
        # The key of an upload is not kept, so that only the person can send it again.
        return is_over_badly and self.command.kind != CommandKind.INSTALL_CERTIFICATE


def view(command: Command) -> JobView:
    """Reads what is stored about the job now."""
    certificate = certificates.of(command)
    progress = certificates.progress(command, certificate)
    kind, word = words.state_of(command)
    is_over_badly = not command.is_open and not command.has_succeeded
    return JobView(
        command=command,
        title=certificates.title(command, certificate),
        status_kind=kind,
        status_word=word,
        elapsed=elapsed(command),
        steps=steps.build(command, progress),
        failure=_failure(command, progress.marks, certificate) if is_over_badly else None,
        facts=_facts(command, certificate),
        warnings=[str(text) for text in command.result.get("warnings", [])],
        follow_up=None if command.is_open else jobs.follow_up(command),
        certificate=certificate,
        findings=tuple(certificates.found(command)),
    )


def elapsed(command: Command, now: datetime | None = None) -> timedelta | None:
    """How long it has been worked on, by the panel's clock; None when it never started."""
    if command.started_at is None:
        return None
    return (command.finished_at or now or utcnow()) - command.started_at


def _failure(command: Command, marks: list[jobs.StageMark], certificate: Certificate | None) -> Failure | None:
    last_error = jobs.last_stage_text(command.id, "error")
    hosts = tuple(jobs.refused_hosts(command.id))
    used_by = tuple(certificate_service.hosts_using(certificate)) if certificate else ()
    return explain(Evidence(command, steps.failed_stage(command, marks), last_error, hosts, certificate, used_by))


def _facts(command: Command, certificate: Certificate | None) -> list[Fact]:
    facts = certificates.facts(command, certificate) + docker.facts(command)
    facts += [Fact(_("Agent"), command.agent.name, f"/agents/{command.agent_id}")]
    revision = command.result.get("revision") or command.payload.get("revision")
    if revision:
        facts.append(Fact(_("Revision"), str(revision)[:12], is_code=True))
    files = command.payload.get("files")
    if files:
        facts.append(Fact(_("Files"), str(files)))
    if command.retry_of_id:
        facts.append(Fact(_("Retry of"), _("the job before"), f"/jobs/{command.retry_of_id}"))
    if command.kind == CommandKind.CHECK_NGINX and command.has_succeeded:
        facts += _nginx_facts(command)
    return facts


def _nginx_facts(command: Command) -> list[Fact]:
    nginx = command.result.get("nginx", {})
    workers, leaving = command.result.get("workers", 0), command.result.get("workers_shutting_down", 0)
    facts = [
        Fact("nginx", str(nginx.get("version") or _("not found")), is_code=True),
        Fact(_("State"), _("running") if nginx.get("running") else _("not running")),
        Fact(
            _("Workers"),
            _("%(workers)s, %(leaving)s shutting down", workers=workers, leaving=leaving) if leaving else str(workers),
        ),
    ]
    if nginx.get("problem"):
        facts.append(Fact(_("Problem"), str(nginx["problem"])))
    return facts
