"""The cards of jobs about certificates that failed: the agent's sentence, who is affected, what to do next.
May import: panel.models, panel.nginx.grammar, panel.web."""

from __future__ import annotations

from datetime import datetime

from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.web.certificates.findings import findings, trouble
from panel.web.filters import plural
from panel.web.jobs import words
from panel.web.jobs.cards import Evidence, Failure, NextStep

UNKNOWN = "The certificate on the agent's disk is either the old one or the new one, never half of one."


def card(evidence: Evidence) -> Failure:
    """Why the order or the installation failed, in the agent's words."""
    found = trouble(evidence.command.result["failure"])
    if found is None:
        return Failure("Why it failed", evidence.command.error, affected(evidence), (NextStep("Press Retry."),))
    steps = [NextStep(found.next_step)] if found.next_step else []
    steps.append(_then(found.retry_at is not None))
    return Failure(
        title="Why it failed",
        what=found.sentence,
        who=affected(evidence),
        steps=tuple(steps),
        is_harmless=is_harmless(evidence),
        names=tuple(display_name(name) for name in found.names),
        words=found.words,
        portal=found.portal,
        retry_at=found.retry_at,
    )


def needs_a_yes(evidence: Evidence) -> Failure:
    """Nothing was asked of the authority yet: the check found something that a person must weigh."""
    count = sum(finding.level == "warning" for finding in findings(evidence.command.result.get("findings", [])))
    return Failure(
        title="Shall it be requested anyway?",
        what=f"The check before the order has {plural(count, 'doubt')}. The authority was not asked, and nothing "
        "counts against its limits yet.",
        who=affected(evidence),
        steps=(NextStep("Read what was found below."), NextStep("Mend it and press Retry, or request it anyway.")),
        is_harmless=is_harmless(evidence),
        is_question=True,
    )


def affected(evidence: Evidence) -> str:
    """Who notices that this job failed."""
    certificate = evidence.certificate
    if words.is_dry_run(evidence.command):
        return "Nobody: it was a try on staging, which installs nothing."
    if certificate is not None and certificate.is_present and certificate.not_after is not None:
        left = certificate.not_after - utcnow()
        if left.total_seconds() > 0:
            span = _span(left.days)
            return f"Visitors are not affected. The current certificate stays in place and is valid for {span}."
        return f"Visitors of {_hosts(evidence)} get a warning: the current certificate has expired."
    if evidence.used_by:
        return (
            f"{_hosts(evidence)} {'is' if len(evidence.used_by) == 1 else 'are'} served as plain HTTP until it works."
        )
    return "Nobody: no host uses this certificate."


def is_harmless(evidence: Evidence) -> bool:
    """Whether visitors of all sites get what they got before."""
    certificate = evidence.certificate
    is_good = certificate is not None and certificate.is_present and not _is_over(certificate.not_after)
    return words.is_dry_run(evidence.command) or is_good or not evidence.used_by


def _is_over(end: datetime | None) -> bool:
    return end is None or end <= utcnow()


def _then(is_repeated: bool) -> NextStep:
    text = "Then press Retry, or wait." if is_repeated else "Then press Retry."
    return NextStep(text)


def _span(days: int) -> str:
    return f"{plural(days, 'more day')}" if days > 0 else "less than a day"


def _hosts(evidence: Evidence) -> str:
    names = [display_name(host.primary_name) for host in evidence.used_by]
    return names[0] if len(names) == 1 else f"{len(names)} hosts" if names else "names it is used for"
