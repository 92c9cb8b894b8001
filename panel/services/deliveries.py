"""Sending what is queued: claimed in one transaction, sent outside of any, settled in another.
May import: panel.notifiers, panel.vault, panel.services.channels, panel.models, panel.extensions and below.

A message that was claimed and not settled, because the panel was killed, is sent again when its claim has run out. So
it is never lost, and it arrives twice only when the panel dies between the far side's answer and the next commit; a
mail then has the same Message-ID both times.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Select, select, update

from panel import failpoints
from panel.config import Config
from panel.extensions import db, wake_after_commit
from panel.models import Notification, NotificationChannel
from panel.notifiers import delivery
from panel.notifiers.notifier import Message, NotifierError
from panel.services import channels
from panel.vault import VaultError

log = logging.getLogger(__name__)

CLAIMED_FOR = timedelta(minutes=5)  # longer than what is claimed at once can take
AT_ONCE = 5  # messages of one channel
MAX_WAITING = 1000  # that one look goes through
TRIED_FOR = timedelta(days=1)
LONGEST_PAUSE = 360  # minutes


@dataclass(frozen=True)
class Parcel:
    """One message that this process sends now. `id` is None for a test."""

    id: int | None
    channel_id: int
    kind: str
    settings: dict[str, str] = field(repr=False)
    message: Message
    problem: str = ""  # why it cannot even be tried


@dataclass(frozen=True)
class Outcome:
    """How sending ended: `error` when it was not taken, else `remark`, mostly empty."""

    error: str = ""
    remark: str = ""


def has_due(now: datetime) -> bool:
    """Whether something waits to be sent; a cheap question."""
    return db.session.scalar(_waiting().where(Notification.next_attempt_at <= now).limit(1)) is not None


def claim(now: datetime, config: Config, max_channels: int = channels.MAX_CHANNELS) -> dict[int, list[Parcel]]:
    """What is due, oldest first, by channel: at most AT_ONCE of each. Nobody else sends it for CLAIMED_FOR.

    Of what waits about one thing only the oldest is taken: a recovery never overtakes the failure that it ends.
    """
    claimed: dict[int, list[Parcel]] = {}
    seen: set[tuple[int, str]] = set()
    for notification in db.session.scalars(_waiting().order_by(Notification.id).limit(MAX_WAITING)).unique():
        if notification.channel_id not in claimed and len(claimed) >= max_channels:
            continue
        mine = claimed.setdefault(notification.channel_id, [])
        thing = (notification.channel_id, _thing(notification.key))
        is_due = notification.next_attempt_at is not None and notification.next_attempt_at <= now
        if thing not in seen and is_due and len(mine) < AT_ONCE and _take(notification, now):
            mine.append(_parcel(notification, config))
        seen.add(thing)
    return {channel_id: parcels for channel_id, parcels in claimed.items() if parcels}


def send(parcel: Parcel) -> Outcome:
    """Sends one message and waits for the answer. Call it with no transaction open."""
    if parcel.problem:
        return Outcome(error=parcel.problem)
    try:
        remark = delivery.deliver(parcel.kind, parcel.settings, parcel.message)
    except NotifierError as refusal:
        return Outcome(error=str(refusal))
    failpoints.hit("news_sent")
    return Outcome(remark=remark)


def settle(parcel: Parcel, outcome: Outcome, now: datetime) -> None:
    """Writes down how sending ended: sent, tried again after 1, 5, 25 minutes and so on, or given up after a day."""
    channel = db.session.get(NotificationChannel, parcel.channel_id)
    notification = None if parcel.id is None else db.session.get(Notification, parcel.id)
    if channel is None:
        return
    channel.last_error = outcome.error or outcome.remark
    if not outcome.error:
        channel.last_sent_at = now
    if notification is not None:
        _write(notification, outcome, now)
        if outcome.error and notification.next_attempt_at is None:
            channel.last_error = f"{outcome.error} Given up after {notification.attempts} attempts."
    wake_after_commit("notifications")


def pack_test(channel: NotificationChannel, now: datetime, config: Config) -> Parcel:
    """A message that says that the channel works."""
    reference = f"waypost.test.{channel.id}.{now:%Y%m%d%H%M%S%f}"
    text = f"The channel “{channel.name}” works. News about certificates will come here."
    message = Message("Waypost test message", _with_link(text, "/settings/notifications", config), "info", reference)
    return _pack(None, channel, message, config)


def _waiting() -> Select[Notification]:
    return (
        select(Notification)
        .join(NotificationChannel, NotificationChannel.id == Notification.channel_id)
        .where(Notification.next_attempt_at.is_not(None), NotificationChannel.is_enabled.is_(True))
    )


def _thing(key: str) -> str:
    """What the message is about: "certificate:7" of "certificate:7:failed:…"."""
    return ":".join(key.split(":")[:2])


def _take(notification: Notification, now: datetime) -> bool:
    """Compare and set: of two panels one gets it."""
    is_free = (Notification.id == notification.id, Notification.next_attempt_at == notification.next_attempt_at)
    values = {"next_attempt_at": now + CLAIMED_FOR, "attempts": Notification.attempts + 1}
    taken = update(Notification).where(*is_free).values(**values).returning(Notification.id)
    return db.session.scalar(taken) is not None


def _parcel(notification: Notification, config: Config) -> Parcel:
    digest = hashlib.sha256(f"{notification.key}:{notification.created_at.isoformat()}".encode()).hexdigest()[:32]
    text = _with_link(notification.text, notification.url, config)
    message = Message(notification.subject, text, notification.level, f"waypost.{notification.id}.{digest}")
    return _pack(notification.id, notification.channel, message, config)


def _pack(notification_id: int | None, channel: NotificationChannel, message: Message, config: Config) -> Parcel:
    try:
        settings, problem = dict(channels.open_stored(channel, config).values), ""
    except VaultError as error:
        settings, problem = {}, str(error)
    return Parcel(notification_id, channel.id, channel.kind, settings, message, problem)


def _write(notification: Notification, outcome: Outcome, now: datetime) -> None:
    notification.error = outcome.error or outcome.remark
    notification.next_attempt_at = None
    if not outcome.error:
        notification.sent_at = now
        return
    log.warning("message %d was not sent by channel %s", notification.id, notification.channel.name)
    again_at = now + pause(notification.attempts)
    if again_at <= notification.created_at + TRIED_FOR and notification.channel.is_enabled:
        notification.next_attempt_at = again_at


def pause(attempts: int) -> timedelta:
    """How long to wait after so many attempts: 1, 5, 25, 125 minutes, then six hours each."""
    return timedelta(minutes=min(5 ** min(attempts - 1, 6), LONGEST_PAUSE))


def _with_link(text: str, path: str, config: Config) -> str:
    return f"{text}\n\n{config.public_url}{path}\n" if path else text
