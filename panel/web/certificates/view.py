"""What pages show of certificates, as plain values: how one stands, its days as a bar, its row, a host's TLS.
May import: panel.models, panel.nginx.grammar, panel.services, panel.web."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext, plural, translated
from panel.models import DUE_PART, Certificate, CertificateSource, Command, ProxyHost
from panel.nginx.grammar import display_name
from panel.web.certificates import words
from panel.web.certificates.findings import Trouble, trouble
from panel.web.status import Status

HOSTS_SHOWN = 2  # in a row; the certificate's page has them all
# Shares of the lifetime, because lifetimes shrink: from a third on the agent is at it.
DUE = 1 / DUE_PART
VERY_LATE = 0.1


@dataclass(frozen=True)
class Validity:
    """How much of the lifetime is left: a bar of `percent`, and the words beside it."""

    tone: str
    words: str
    percent: int
    ends_at: datetime | None


def validity(certificate: Certificate, now: datetime) -> Validity:
    """The days left. A certificate without files has none."""
    end, lifetime = certificate.not_after, certificate.lifetime
    if end is None or lifetime is None:
        return Validity("off", _("none yet"), 0, None)
    left = end - now
    if left <= timedelta():
        return Validity("bad", lazy_gettext("expired"), 0, end)
    share = min(1.0, left / lifetime) if lifetime > timedelta() else 0.0
    tone = "bad" if share < VERY_LATE else "warn" if share <= DUE else "ok"
    return Validity(tone, _left(left), max(1, round(100 * share)), end)


def _left(left: timedelta) -> str:
    return plural(left.days, "day") if left.days else plural(max(1, left.seconds // 3600), "hour")


def status(certificate: Certificate, open_job: Command | None, now: datetime) -> Status:
    """The one place that says how a certificate stands, from what the agent reported last and what is under way."""
    if open_job is not None and not certificate.is_present:
        return Status("run", _("Under way"), _("It is being obtained now. Its job shows how far it is."))
    if certificate.revoked_at is not None:
        return Status("bad", _("Revoked"), _("The authority has declared it invalid. Browsers may refuse it."))
    if not certificate.is_present:
        return _absent(certificate)
    return _present(certificate, open_job, validity(certificate, now))


def _present(certificate: Certificate, open_job: Command | None, end: Validity) -> Status:
    if end.words == "expired":
        return Status("bad", _("Expired"), _("Browsers warn visitors of every host that uses it."))
    if open_job is not None:
        return Status(
            "run", _("Under way"), _("A job works on it now. The present certificate stays in place meanwhile.")
        )
    if certificate.failures:
        return Status("bad" if end.tone == "bad" else "warn", _("Failing"), _failing(certificate))
    return _valid(certificate, end)


_PLAIN_MEANWHILE = lazy_gettext("Hosts that use it are served by plain HTTP until it is back.")


def _absent(certificate: Certificate) -> Status:
    if certificate.problem:
        return Status("bad", _("Missing"), f"{translated(certificate.problem)} {_PLAIN_MEANWHILE}")
    if certificate.last_failure:
        return Status(
            "bad", _("Failed"), _("It could not be obtained. Hosts that wait for it are served as plain HTTP.")
        )
    return Status(
        "off", _("Not there yet"), _("Nothing was obtained yet. Hosts that wait for it are served as plain HTTP.")
    )


def _failing(certificate: Certificate) -> str:
    times = (
        _("The last renewal failed")
        if certificate.failures == 1
        else _("The last %(failures)s tries failed", failures=certificate.failures)
    )
    return _("%(times)s. The present certificate stays in place.", times=times)


def _valid(certificate: Certificate, end: Validity) -> Status:
    if certificate.source == CertificateSource.CERTBOT:
        return Status("off" if end.tone == "ok" else end.tone, _("By certbot"), _("certbot renews it, not this agent."))
    if certificate.is_paused:
        return Status("warn", _("Paused"), _("Nobody renews it before it expires, until it is resumed."))
    if end.tone == "ok":
        return Status(
            "ok", _("Valid"), _("Browsers accept it.") if not words.is_test(certificate) else words.TEST_SENTENCE
        )
    if certificate.source == CertificateSource.UPLOAD:
        return Status(end.tone, _("Expires soon"), _("Nobody renews it by itself: upload the next one in its place."))
    return Status(end.tone, _("Due"), _("It is to be renewed. The agent is at it, or waits for its moment."))


@dataclass(frozen=True)
class CertificateRow:
    """One line of the list. `trouble` is the last error in one line; it is hostile text."""

    id: int
    name: str
    alias_note: str
    status: Status
    validity: Validity
    authority: str
    is_test: bool
    hosts: tuple[tuple[int, str], ...]
    more_hosts: int
    next_word: str
    next_at: datetime | None
    trouble: str
    agent_id: str
    agent_name: str
    can_take_over: bool


def row(
    certificate: Certificate, users: Sequence[tuple[int, str]], open_job: Command | None, now: datetime
) -> CertificateRow:
    """A certificate as the list shows it; `users` are the hosts that use it, as (id, name)."""
    names = certificate.names
    last = trouble(certificate.last_failure)
    next_word, next_at = next_renewal(certificate)
    return CertificateRow(
        id=certificate.id,
        name=display_name(names[0]) if names else certificate.name,
        alias_note=alias_note(len(names) - 1),
        status=status(certificate, open_job, now),
        validity=validity(certificate, now),
        authority=words.authority(certificate),
        is_test=words.is_test(certificate),
        hosts=tuple((host_id, display_name(name)) for host_id, name in users[:HOSTS_SHOWN]),
        more_hosts=max(0, len(users) - HOSTS_SHOWN),
        next_word=next_word,
        next_at=next_at,
        trouble=last.sentence if last else translated(certificate.problem),
        agent_id=certificate.agent_id,
        agent_name=certificate.agent.name,
        can_take_over=certificate.source == CertificateSource.CERTBOT,
    )


def alias_note(count: int) -> str:
    """How many names there are beside the first."""
    return "" if count < 1 else f"+{plural(count, 'name')}"


def next_renewal(certificate: Certificate) -> tuple[str, datetime | None]:
    """When the next one comes: a word when there is no moment."""
    if certificate.source == CertificateSource.CERTBOT:
        return _("by certbot"), None
    if certificate.source == CertificateSource.UPLOAD:
        return _("by hand"), None
    if certificate.is_paused:
        return _("paused"), None
    if certificate.revoked_at is not None:
        return _("none"), None
    return ("", certificate.next_action_at) if certificate.next_action_at else (_("not planned yet"), None)


def why_then(certificate: Certificate) -> str:
    """Why the agent acts at the moment that it chose; one sentence."""
    if certificate.failures:
        return _("It waits after a failure, longer each time, so that the authority's limits are kept.")
    if certificate.window_start is not None and certificate.window_end is not None:
        return _("The authority names a window for the renewal, and the agent chose a moment in it by chance.")
    return _("It renews when a third of the lifetime is left, half for very short ones, at a moment chosen by chance.")


def last_trouble(certificate: Certificate) -> Trouble | None:
    """Why the last attempt failed; None after a success."""
    return trouble(certificate.last_failure)


def host_tls(host: ProxyHost, open_job: Command | None, now: datetime) -> Status:
    """How a host stands with HTTPS."""
    certificate = host.certificate
    if certificate is None:
        return Status("off", _("no HTTPS"), _("It is served as plain HTTP."))
    if certificate.is_present:
        return _served(certificate, now)
    if open_job is not None:
        return Status(
            "run", _("waiting for certificate"), _("It is served as plain HTTP until the certificate is there.")
        )
    if certificate.problem:
        return Status(
            "bad",
            _("certificate missing"),
            _("It is served as plain HTTP. %(problem)s", problem=translated(certificate.problem)),
        )
    if certificate.last_failure:
        return Status("bad", _("certificate failed"), _("It is served as plain HTTP until there is a certificate."))
    return Status("warn", _("waiting for certificate"), _("It is served as plain HTTP until the certificate is there."))


def _served(certificate: Certificate, now: datetime) -> Status:
    end = validity(certificate, now)
    if certificate.revoked_at is not None:
        return Status("bad", _("revoked"), _("The certificate was revoked. Browsers may refuse it."))
    if end.words == "expired":
        return Status("bad", _("expired"), _("Browsers warn visitors: the certificate has expired."))
    detail = (
        words.TEST_SENTENCE
        if words.is_test(certificate)
        else _("The certificate is valid for %(words)s.", words=end.words)
    )
    return Status("warn" if certificate.failures and end.tone == "ok" else end.tone, end.words, detail)
