"""News: what became of certificates, queued once for each channel. Sending is panel.services.deliveries.
May import: panel.services.{certificate_news,paging}, panel.models, panel.extensions.

A key names the thing that is told. It is made of what is stored and of nothing that this process remembers, and it is
unique per channel in the database: whoever finds the same thing again, after a restart or in a second process, inserts
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from panel.extensions import db, wake_after_commit
from panel.models import Certificate, CertificateSource, Notification, NotificationChannel
from panel.services import certificate_news
from panel.services.certificate_news import News
from panel.services.paging import Page, paginate

# What is left of a lifetime, as one over so many, and how loudly it is said then.
STAGES = ((10, "error"), (5, "warning"), (3, "info"))
OVERDUE = timedelta(hours=1)  # a planned renewal that is later than this is not under way
EXPIRED_TOLD = timedelta(days=30)  # longer ago nobody waits for the word
KEPT = timedelta(days=400)


@dataclass(frozen=True)
class Before:
    """What was known of a certificate before a report was stored."""

    is_present: bool
    serial: str


def before(certificate: Certificate) -> Before:
    """Call it before a report is written into the row; `certificate_changed` takes it."""
    return Before(certificate.is_present, certificate.serial)


def certificate_changed(certificate: Certificate, before: Before, now: datetime) -> None:
    """Queues what a stored report makes new: a failure, a recovery, files that are gone. In the same transaction.

    It may be called again with the same report, or with reports in another order: nothing is told twice.
    """
    channels = _enabled_channels()
    if not channels:
        return
    if before.is_present and not certificate.is_present and not certificate.revoked_at:
        key = f"{_about(certificate)}vanished:{before.serial}:{now:%Y-%m-%d}"
        _queue(channels, key, certificate_news.vanished(certificate, now), now)
    if certificate.failures and certificate.last_failure and _is_news(certificate):
        key = f"{_about(certificate)}failed:{_series(certificate)}:{certificate.last_failure.get('cause', 'other')}"
        _queue(channels, key, certificate_news.failed(certificate, now), now)
    elif certificate.is_present and not certificate.failures:
        _tell_recovery(channels, certificate, now)


def expiring(now: datetime) -> None:
    """Queues what time alone makes new: a certificate that was not renewed at a third, a fifth and a tenth of its
    life left, and one that has expired. Called by the clock."""
    channels = _enabled_channels()
    if not channels:
        return
    for certificate_id, not_before, not_after in _living(now):
        stage = _stage(not_after - now, not_after - not_before)
        if stage is None:
            continue
        certificate = db.session.get_one(Certificate, certificate_id)
        if not _is_cared_for(certificate, stage, now):
            _queue(
                channels,
                f"{_about(certificate)}{_stage_word(stage, certificate)}",
                _ending(certificate, stage, now),
                now,
            )


def list_page(page: int = 1, per_page: int = 25) -> Page[Notification]:
    """What was sent or waits, newest first."""
    return paginate(select(Notification).order_by(Notification.id.desc()), page, per_page)


def prune(now: datetime) -> None:
    """Forgets what was told long ago, but not while it could still be told again."""
    old = select(Notification.id, Notification.key).where(
        Notification.created_at < now - KEPT, Notification.next_attempt_at.is_(None)
    )
    known = {f"{one.id}": one.serial for one in db.session.execute(select(Certificate.id, Certificate.serial))}
    gone = [row.id for row in db.session.execute(old) if not _is_about_present(row.key, known)]
    for start in range(0, len(gone), 500):
        db.session.execute(delete(Notification).where(Notification.id.in_(gone[start : start + 500])))


def _is_about_present(key: str, known: dict[str, str]) -> bool:
    parts = key.split(":")
    return len(parts) > 3 and bool(known.get(parts[1])) and known[parts[1]] == parts[3]


def _living(now: datetime) -> Iterator[tuple[int, datetime, datetime]]:
    """Certificates that are on a disk and were not revoked or over for long, as plain values: there may be many."""
    columns = select(Certificate.id, Certificate.not_before, Certificate.not_after).where(
        Certificate.is_present.is_(True),
        Certificate.revoked_at.is_(None),
        Certificate.not_before.is_not(None),
        Certificate.not_after > now - EXPIRED_TOLD,
    )
    for row in db.session.execute(columns).all():
        yield row.id, row.not_before, row.not_after


def _stage(left: timedelta, lifetime: timedelta) -> int | None:
    """0 when it has expired, else 10, 5 or 3: no more than one over so many of its life is left. None before."""
    if left <= timedelta(0):
        return 0
    return next((part for part, _level in STAGES if left * part <= lifetime), None)


def _stage_word(stage: int, certificate: Certificate) -> str:
    return f"expiring:{certificate.serial}:{stage}" if stage else f"expired:{certificate.serial}"


def _ending(certificate: Certificate, stage: int, now: datetime) -> News:
    if not stage:
        return certificate_news.expired(certificate, now)
    return certificate_news.expiring(certificate, dict(STAGES)[stage], now)


def _is_cared_for(certificate: Certificate, stage: int, now: datetime) -> bool:
    """Whether nobody needs to know: at a third, when the renewal is planned and has not failed, for authorities
    put it about there; and what certbot has beside Waypost, until certbot is late and a host needs it."""
    if certificate.source == CertificateSource.CERTBOT:
        return stage == 3 or not certificate_news.hosts_using(certificate)
    planned = certificate.next_action_at
    is_planned = certificate.is_renewable and not certificate.is_paused and not certificate.failures
    return stage == 3 and is_planned and planned is not None and planned > now - OVERDUE


def _is_news(certificate: Certificate) -> bool:
    """The first failure of a certificate that never was is seen by who asked for it; the next ones by nobody."""
    return bool(certificate.serial) or certificate.failures > 1


def _series(certificate: Certificate) -> str:
    """What failures in a row have in common: the certificate that is to be replaced. A success brings another."""
    return certificate.serial or f"first-{certificate.created_at:%Y%m%dT%H%M%S}"


def _tell_recovery(channels: list[NotificationChannel], certificate: Certificate, now: datetime) -> None:
    """To those who were told of the failure, once per series."""
    prefix = f"{_about(certificate)}failed:"
    for channel in channels:
        told = _keys(channel, prefix)
        series = [key.removeprefix(prefix).partition(":")[0] for key in told]
        if series and series[-1] != certificate.serial:
            key = f"{_about(certificate)}recovered:{series[-1]}"
            _queue([channel], key, certificate_news.recovered(certificate, now), now)


def _keys(channel: NotificationChannel, prefix: str) -> list[str]:
    """The keys that begin so, oldest first. A range, which the index can answer."""
    keys = select(Notification.key).where(
        Notification.channel_id == channel.id, Notification.key > prefix, Notification.key < f"{prefix}\x7f"
    )
    return list(db.session.scalars(keys.order_by(Notification.id)))


def _queue(channels: list[NotificationChannel], key: str, news: News, now: datetime) -> None:
    """One row per channel, unless the channel has this key already."""
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    values = {"key": key[:160], "level": news.level, "subject": news.subject, "text": news.text, "url": news.url}
    values |= {"created_at": now, "next_attempt_at": now, "attempts": 0, "error": ""}  # type: ignore[dict-item]
    rows = [{**values, "channel_id": channel.id} for channel in channels]
    db.session.execute(insert(Notification).on_conflict_do_nothing(), rows)
    wake_after_commit("notifications")


def _about(certificate: Certificate) -> str:
    return f"certificate:{certificate.id}:"


def _enabled_channels() -> list[NotificationChannel]:
    enabled = select(NotificationChannel).where(NotificationChannel.is_enabled.is_(True))
    return list(db.session.scalars(enabled.order_by(NotificationChannel.id)))
