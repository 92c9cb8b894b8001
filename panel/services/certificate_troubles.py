"""What is wrong with certificates: over, revoked, missing, never obtained, not renewed, or near their end.
May import: panel.services.{certificate_census,troubles}, panel.models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from panel.i18n import gettext as _
from panel.i18n import ngettext, translated
from panel.models import Certificate, CertificateSource
from panel.services.certificate_census import Suspect, is_looked_after, share_left
from panel.services.troubles import Action, Kind, Sketch, Tone, Trouble, left, sentence, some

VERY_LATE = 1 / 10  # what is left of a life when it is pressing


Words = tuple[str, str, Action | None]  # what is wrong, why, and what mends it


def find(suspects: Iterable[Suspect], now: datetime) -> Iterator[Sketch]:
    """One for each certificate that a person must look at. What certbot renews counts when a host uses it."""
    for suspect in suspects:
        is_foreign = suspect.certificate.source == CertificateSource.CERTBOT
        if not is_foreign or suspect.hosts:
            found = _look(suspect, now)
            if found is not None:
                yield found


def _look(suspect: Suspect, now: datetime) -> Sketch | None:
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


def _revoked(suspect: Suspect) -> Sketch | None:
    if not suspect.hosts:
        return None

    def words() -> Words:
        return _("The certificate {} was revoked"), sentence(_("Browsers may refuse it"), _used(suspect)), None

    return _sketch(suspect, Kind.CERTIFICATE_REVOKED, Tone.BAD, words)


def _absent(suspect: Suspect) -> Sketch | None:
    certificate, failure = suspect.certificate, suspect.certificate.last_failure
    tone = Tone.BAD if suspect.hosts else Tone.WARN
    if failure and not certificate.serial:
        return _sketch(suspect, Kind.CERTIFICATE_FAILED, tone, lambda: _failed_words(suspect, failure))
    if certificate.problem or (certificate.serial and suspect.hosts):
        return _sketch(suspect, Kind.CERTIFICATE_MISSING, tone, lambda: _missing_words(suspect))
    return None


def _failed_words(suspect: Suspect, failure: Mapping[str, Any]) -> Words:
    why = sentence(str(failure.get("sentence", "")), str(failure.get("next_step", "")), _plain(suspect))
    return _("The certificate {} could not be obtained"), why, None


def _missing_words(suspect: Suspect) -> Words:
    certificate = suspect.certificate
    gone = translated(certificate.problem) or _("Its files are not on %(name)s any more", name=certificate.agent.name)
    what = _("The certificate {} is missing on %(name)s", name=certificate.agent.name)
    return what, sentence(gone, _plain(suspect)), None


def _expired(suspect: Suspect) -> Sketch | None:
    certificate = suspect.certificate
    if not suspect.hosts and not certificate.is_renewable:
        return None

    def words() -> Words:
        warned = some(suspect.hosts)
        warns = _("Browsers warn visitors of %(some)s", some=warned) if suspect.hosts else _("No host uses it")
        mend = None if suspect.job else _mend(certificate)
        return _("The certificate {} has expired"), sentence(warns, _cause(certificate)), mend

    tone = Tone.BAD if suspect.hosts else Tone.WARN
    return _sketch(suspect, Kind.CERTIFICATE_EXPIRED, tone, words, at=certificate.not_after)


def _failing(suspect: Suspect, now: datetime) -> Sketch:
    certificate = suspect.certificate

    def words() -> Words:
        what = ngettext("The renewal of {} failed once", "The renewal of {} failed %(num)s times", certificate.failures)
        if certificate.not_after is not None:
            what += _(", it expires in %(left)s", left=left(certificate.not_after, now))
        return what, sentence(_cause(certificate), _used(suspect)), None

    is_pressing = share_left(certificate, now) < VERY_LATE and bool(suspect.hosts)
    return _sketch(suspect, Kind.CERTIFICATE_FAILING, Tone.BAD if is_pressing else Tone.WARN, words)


def _due(suspect: Suspect, now: datetime) -> Sketch | None:
    """Nothing while its agent, or certbot, is at it in time."""
    certificate, end = suspect.certificate, suspect.certificate.not_after
    if is_looked_after(certificate, now):
        return None
    if end is None or (not suspect.hosts and not certificate.is_renewable):
        return None

    def words() -> Words:
        what = _("The certificate {} expires in %(left)s", left=left(end, now))
        return what, sentence(_cause(certificate), _used(suspect)), _mend(certificate)

    tone = Tone.BAD if share_left(certificate, now) < VERY_LATE and suspect.hosts else Tone.WARN
    return _sketch(suspect, Kind.CERTIFICATE_DUE, tone, words)


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


def _plain(suspect: Suspect) -> str:
    hosts = suspect.hosts
    if not hosts:
        return ""
    shown = some(hosts)
    return ngettext("%(some)s is served without HTTPS", "%(some)s are served without HTTPS", len(hosts), some=shown)


def _sketch(
    suspect: Suspect, kind: Kind, tone: Tone, words: Callable[[], Words], *, at: datetime | None = None
) -> Sketch:
    def draw() -> Trouble:
        certificate = suspect.certificate
        what, why, mend = words()
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

    return Sketch(kind, tone, suspect.certificate.agent_id, at, draw)
