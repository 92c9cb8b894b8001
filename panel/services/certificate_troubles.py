"""What is wrong with certificates: over, revoked, missing, never obtained, not renewed, or near their end.
May import: panel.services.{certificate_census,troubles}, panel.models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from panel.i18n import gettext as _
from panel.i18n import ngettext, translated
from panel.models import Certificate, CertificateSource
from panel.services.certificate_census import Suspect, is_looked_after, share_left
from panel.services.troubles import Action, Kind, Tone, Trouble, left, sentence, some

VERY_LATE = 1 / 10  # what is left of a life when it is pressing


def find(suspects: Iterable[Suspect], now: datetime) -> Iterator[Trouble]:
    """One trouble for each certificate that a person must look at. What certbot renews counts when a host uses it."""
    for suspect in suspects:
        is_foreign = suspect.certificate.source == CertificateSource.CERTBOT
        if not is_foreign or suspect.hosts:
            found = _look(suspect, now)
            if found is not None:
                yield found


def _look(suspect: Suspect, now: datetime) -> Trouble | None:
    certificate = suspect.certificate
    if certificate.revoked_at is not None:
        return _revoked(suspect)
    if not certificate.is_present:
        return None if suspect.job else _absent(suspect)
    if certificate.not_after is not None and certificate.not_after <= now:
        return _expired(suspect)
    if suspect.job:
        return None
    return _failing(suspect, now) if certificate.failures else _due(suspect, now)


def _revoked(suspect: Suspect) -> Trouble | None:
    if not suspect.hosts:
        return None
    why = sentence(_("Browsers may refuse it"), _used(suspect))
    return _trouble(suspect, Kind.CERTIFICATE_REVOKED, Tone.BAD, _("The certificate {} was revoked"), why)


def _absent(suspect: Suspect) -> Trouble | None:
    certificate, failure = suspect.certificate, suspect.certificate.last_failure
    hosts = suspect.hosts
    plain = (
        ngettext("%(some)s is served without HTTPS", "%(some)s are served without HTTPS", len(hosts), some=some(hosts))
        if hosts
        else ""
    )
    tone = Tone.BAD if suspect.hosts else Tone.WARN
    if failure and not certificate.serial:
        why = sentence(str(failure.get("sentence", "")), str(failure.get("next_step", "")), plain)
        return _trouble(suspect, Kind.CERTIFICATE_FAILED, tone, _("The certificate {} could not be obtained"), why)
    if certificate.problem or (certificate.serial and suspect.hosts):
        gone = translated(certificate.problem) or _(
            "Its files are not on %(name)s any more", name=certificate.agent.name
        )
        what = _("The certificate {} is missing on %(name)s", name=certificate.agent.name)
        return _trouble(suspect, Kind.CERTIFICATE_MISSING, tone, what, sentence(gone, plain))
    return None


def _expired(suspect: Suspect) -> Trouble | None:
    certificate = suspect.certificate
    if not suspect.hosts and not certificate.is_renewable:
        return None
    warns = _("Browsers warn visitors of %(some)s", some=some(suspect.hosts)) if suspect.hosts else _("No host uses it")
    why = sentence(warns, _cause(certificate))
    tone = Tone.BAD if suspect.hosts else Tone.WARN
    mend = None if suspect.job else _mend(certificate)
    what = _("The certificate {} has expired")
    return _trouble(suspect, Kind.CERTIFICATE_EXPIRED, tone, what, why, mend=mend, at=certificate.not_after)


def _failing(suspect: Suspect, now: datetime) -> Trouble:
    certificate = suspect.certificate
    is_pressing = share_left(certificate, now) < VERY_LATE and bool(suspect.hosts)
    what = ngettext("The renewal of {} failed once", "The renewal of {} failed %(num)s times", certificate.failures)
    if certificate.not_after is not None:
        what += _(", it expires in %(left)s", left=left(certificate.not_after, now))
    why = sentence(_cause(certificate), _used(suspect))
    return _trouble(suspect, Kind.CERTIFICATE_FAILING, Tone.BAD if is_pressing else Tone.WARN, what, why)


def _due(suspect: Suspect, now: datetime) -> Trouble | None:
    """Nothing while its agent, or certbot, is at it in time."""
    certificate, share = suspect.certificate, share_left(suspect.certificate, now)
    if is_looked_after(certificate, now):
        return None
    if certificate.not_after is None or (not suspect.hosts and not certificate.is_renewable):
        return None
    tone = Tone.BAD if share < VERY_LATE and suspect.hosts else Tone.WARN
    what = _("The certificate {} expires in %(left)s", left=left(certificate.not_after, now))
    why = sentence(_cause(certificate), _used(suspect))
    return _trouble(suspect, Kind.CERTIFICATE_DUE, tone, what, why, mend=_mend(certificate))


def _cause(certificate: Certificate) -> str:
    """Why it was not renewed, as far as the panel knows."""
    failure = certificate.last_failure or {}
    if certificate.source == CertificateSource.UPLOAD:
        return _("It was uploaded, so nobody renews it by itself.")
    if certificate.source == CertificateSource.CERTBOT:
        return _("certbot looks after it and has not renewed it.")
    if certificate.is_paused:
        return _("Its renewal is paused.")
    if certificate.failures and failure:
        return sentence(str(failure.get("sentence", "")), str(failure.get("next_step", "")))
    if not certificate.agent.is_connected:
        return _("Its agent %(name)s is away; it may have renewed it meanwhile.", name=certificate.agent.name)
    return _("It was not renewed in time.")


def _mend(certificate: Certificate) -> Action | None:
    address = f"/certificates/{certificate.id}"
    if certificate.source == CertificateSource.UPLOAD:
        return Action(_("Upload the next one"), f"{address}/replace")
    if certificate.source == CertificateSource.CERTBOT:
        return Action(_("Take over renewal"), f"{address}/take-over")
    if certificate.is_paused:
        return Action(_("Resume renewal"), f"{address}/resume", is_post=True)
    return Action(_("Renew now"), f"{address}/renew", is_post=True)


def _used(suspect: Suspect) -> str:
    hosts = suspect.hosts
    return ngettext("%(some)s uses it", "%(some)s use it", len(hosts), some=some(hosts)) if hosts else ""


def _trouble(
    suspect: Suspect,
    kind: Kind,
    tone: Tone,
    what: str,
    why: str,
    *,
    mend: Action | None = None,
    at: datetime | None = None,
) -> Trouble:
    certificate = suspect.certificate
    return Trouble(
        kind,
        tone,
        some(certificate.names[:1]) or certificate.name,
        what,
        why,
        Action(_("Open certificate"), f"/certificates/{certificate.id}"),
        mend,
        agent_id=certificate.agent_id,
        agent_name=certificate.agent.name,
        at=at,
    )
