"""The cards of jobs about certificates that failed: the agent's sentence, who is affected, what to do next.
May import: panel.models, panel.nginx.grammar, panel.web."""

from __future__ import annotations

from datetime import datetime

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext, ngettext, plural
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.web.certificates.findings import findings, trouble
from panel.web.jobs import words
from panel.web.jobs.cards import Evidence, Failure, NextStep

UNKNOWN = lazy_gettext("The certificate on the agent's disk is either the old one or the new one, never half of one.")


def card(evidence: Evidence) -> Failure:
    """Why the order or the installation failed, in the agent's words."""
    found = trouble(evidence.command.result["failure"])
    if found is None:
        return Failure(_("Why it failed"), evidence.error, affected(evidence), (NextStep(_("Press Retry.")),))
    steps = [NextStep(found.next_step)] if found.next_step else []
    steps.append(_then(found.retry_at is not None))
    return Failure(
        title=_("Why it failed"),
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
        title=_("Shall it be requested anyway?"),
        what=_(
            "The check before the order has %(plural)s. The authority was not asked, and "
            "nothing counts against its limits yet.",
            plural=plural(count, "doubt"),
        ),
        who=affected(evidence),
        steps=(
            NextStep(_("Read what was found below.")),
            NextStep(_("Mend it and press Retry, or request it anyway.")),
        ),
        is_harmless=is_harmless(evidence),
        is_question=True,
    )


def affected(evidence: Evidence) -> str:
    """Who notices that this job failed."""
    certificate = evidence.certificate
    if words.is_dry_run(evidence.command):
        return _("Nobody: it was a try on staging, which installs nothing.")
    if certificate is not None and certificate.is_present and certificate.not_after is not None:
        left = certificate.not_after - utcnow()
        if left.total_seconds() > 0:
            span = _span(left.days)
            return _(
                "Visitors are not affected. The current certificate stays in place and is valid for %(span)s.",
                span=span,
            )
        return _("Visitors of %(hosts)s get a warning: the current certificate has expired.", hosts=_hosts(evidence))
    if evidence.used_by:
        return ngettext(
            "%(hosts)s is served as plain HTTP until it works.",
            "%(hosts)s are served as plain HTTP until it works.",
            len(evidence.used_by),
            hosts=_hosts(evidence),
        )
    return _("Nobody: no host uses this certificate.")


def is_harmless(evidence: Evidence) -> bool:
    """Whether visitors of all sites get what they got before."""
    certificate = evidence.certificate
    is_good = certificate is not None and certificate.is_present and not _is_over(certificate.not_after)
    return words.is_dry_run(evidence.command) or is_good or not evidence.used_by


def _is_over(end: datetime | None) -> bool:
    return end is None or end <= utcnow()


def _then(is_repeated: bool) -> NextStep:
    text = _("Then press Retry, or wait.") if is_repeated else _("Then press Retry.")
    return NextStep(text)


def _span(days: int) -> str:
    return f"{plural(days, 'more day')}" if days > 0 else _("less than a day")


def _hosts(evidence: Evidence) -> str:
    names = [display_name(host.primary_name) for host in evidence.used_by]
    return names[0] if len(names) == 1 else plural(len(names), "host") if names else _("names it is used for")
