"""Where news is sent, and what was sent: each thing once to each channel.
May import: panel.extensions, panel.models.types."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from panel.extensions import Model
from panel.models.types import UTCDateTime, utcnow


class NotificationChannel(Model):
    """One place that news goes to.

    `sealed_settings` is sealed JSON: "values" by the names of its notifier's fields, and "set_at", when each secret
    was entered.
    """

    __tablename__ = "notification_channel"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(16))  # a module of panel.notifiers: "smtp", "apprise"
    sealed_settings: Mapped[str] = mapped_column(Text, default="")
    is_enabled: Mapped[bool] = mapped_column(default=True)
    last_sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)


class Notification(Model):
    """One piece of news for one channel. `key` names the thing ("certificate:7:failed:2026-11-24T…")."""

    __tablename__ = "notification"
    __table_args__ = (
        Index("ix_notification_channel_id_key", "channel_id", "key", unique=True),
        Index("ix_notification_next_attempt_at", "next_attempt_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("notification_channel.id"))
    key: Mapped[str] = mapped_column(String(160))
    level: Mapped[str] = mapped_column(String(8), default="info")  # info warning error ok
    subject: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(String(255), default="")  # a page of this panel, from its root
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # None: sent, or given up
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error: Mapped[str] = mapped_column(Text, default="")

    channel: Mapped[NotificationChannel] = relationship(lazy="joined")
