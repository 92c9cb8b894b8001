"""The words of news about certificates: what happened, who is affected, what to do next.
May import: panel.models, panel.extensions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from panel.extensions import db
from panel.models import Certificate, CertificateSource, ProxyHost

NAMES_SHOWN = 10
LONGEST_LINE = 500


@dataclass(frozen=True)
class News:
    """One message before it has a channel. `url` is the path of a page of this panel."""

    level: str
    subject: str
    text: str
    url: str


def failed(certificate: Certificate, now: datetime) -> News:
    """It could not be obtained or renewed; in the words that the agent found for the cause."""
    failure = certificate.last_failure or {}
    verb = "renewed" if certificate.serial else "obtained"
    retry_at = _moment(failure.get("retry_at"))
    again = f"It is tried again by itself at {_utc(retry_at)}." if retry_at else "It is not tried again by itself."
    said = [
        f"What happened: {_line(failure.get('sentence')) or 'The agent gave no reason.'}",
        f"What to do: {_line(failure.get('next_step')) or 'Look at the page of the certificate.'}",
        f"Open this page of the authority: {_line(failure['url'])}" if failure.get("url") else "",
        again,
    ]
    level = "error" if _is_urgent(certificate, now) else "warning"
    return _news(level, f"Certificate {title(certificate)} could not be {verb}", said, certificate, now)


def recovered(certificate: Certificate, now: datetime) -> News:
    """What had failed was done."""
    said = ["What failed before has worked now. There is nothing to do."]
    return _news("ok", f"Certificate {title(certificate)} is renewed again", said, certificate, now)


def expiring(certificate: Certificate, level: str, now: datetime) -> News:
    """It was not renewed, and its end comes near."""
    left = _left(certificate, now)
    return _news(level, f"Certificate {title(certificate)} expires in {left}", _why(certificate), certificate, now)


def expired(certificate: Certificate, now: datetime) -> News:
    """It has ended: browsers refuse it."""
    said = ["Browsers warn visitors and most programs refuse to connect.", *_why(certificate)]
    return _news("error", f"Certificate {title(certificate)} has expired", said, certificate, now)


def vanished(certificate: Certificate, now: datetime) -> News:
    """Its files are gone or cannot be loaded: hosts fall back to plain HTTP."""
    said = [
        f"What happened: {_line(certificate.problem) or 'Its files are not on the disk of the agent any more.'}",
        "What to do: put the files back from a backup, or request or upload the certificate again.",
        "Hosts that use it are served without HTTPS until then.",
    ]
    return _news(
        "error", f"Certificate {title(certificate)} is missing on {certificate.agent.name}", said, certificate, now
    )


def title(certificate: Certificate) -> str:
    """Its first name, and how many more."""
    names = certificate.names or [certificate.name]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return _line(names[0]) + more


def hosts_using(certificate: Certificate) -> list[str]:
    """The first names of the hosts that are served with it."""
    is_used = (ProxyHost.certificate_id == certificate.id, ProxyHost.deleted_at.is_(None))
    return [names[0] for names in db.session.scalars(select(ProxyHost.domain_names).where(*is_used))]


def _news(level: str, subject: str, said: list[str], certificate: Certificate, now: datetime) -> News:
    text = "\n".join([f"{subject}.", "", *filter(None, said), "", *_facts(certificate, now)])
    return News(level, subject[:255], text, f"/certificates/{certificate.id}")


def _facts(certificate: Certificate, now: datetime) -> list[str]:
    hosts = hosts_using(certificate)
    facts = [
        f"Names: {_listed(certificate.names)}",
        f"Hosts that use it: {_listed(hosts) or 'none'}",
        f"Agent: {certificate.agent.name}",
    ]
    if certificate.not_after and certificate.not_after > now:
        left = _left(certificate, now)
        facts.append(f"Valid until: {_utc(certificate.not_after)} ({left} left)")
    elif certificate.not_after:
        facts.append(f"Valid until: {_utc(certificate.not_after)}, which is past")
    return facts


def _why(certificate: Certificate) -> list[str]:
    """Why it was not renewed, as far as the panel knows."""
    if certificate.source == CertificateSource.UPLOAD:
        return ["It was uploaded, so nobody renews it by itself. What to do: upload the next one in its place."]
    if certificate.source == CertificateSource.CERTBOT:
        return [
            "certbot looks after it. What to do: look at certbot on the agent's machine, or take the certificate over."
        ]
    if certificate.is_paused:
        return ["Its renewal is paused. What to do: continue it on the page of the certificate."]
    failure = certificate.last_failure or {}
    if certificate.failures:
        return [
            f"The last of {certificate.failures} failed attempts said: {_line(failure.get('sentence'))}",
            f"What to do: {_line(failure.get('next_step')) or 'Look at the page of the certificate.'}",
        ]
    if not certificate.agent.is_connected:
        seen = certificate.agent.last_seen_at
        return [
            f"The agent was last heard from: {_utc(seen) if seen else 'never'}.",
            "It renews also while the panel is away, so it may have done so. What to do: see why it does not connect.",
        ]
    return ["What to do: choose “Renew now” on the page of the certificate, and read the job's output."]


def _is_urgent(certificate: Certificate, now: datetime) -> bool:
    """Whether less than a tenth of its life is left, or it was never there."""
    if not certificate.not_after or not certificate.lifetime or not certificate.is_present:
        return True
    return certificate.not_after - now < certificate.lifetime / 10


def _left(certificate: Certificate, now: datetime) -> str:
    left = certificate.not_after - now if certificate.not_after else timedelta(0)
    if left >= timedelta(days=2):
        return f"{left.days} days"
    hours = max(1, int(left / timedelta(hours=1)))
    return f"{hours} {'hour' if hours == 1 else 'hours'}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(_line(name) for name in names[:NAMES_SHOWN]) + more


def _line(text: Any) -> str:
    """One printable line: names and sentences come from agents and authorities."""
    cleaned = "".join(letter if letter.isprintable() else " " for letter in str(text or ""))
    return " ".join(cleaned.split())[:LONGEST_LINE]


def _moment(text: Any) -> datetime | None:
    """A moment as the failure holds it in JSON."""
    try:
        moment = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def _utc(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M} UTC"
