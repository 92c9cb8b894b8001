"""The audit log: who did what to which object, before and after.
May import: panel.extensions, panel.models.types."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from panel.extensions import Model
from panel.models.types import UTCDateTime, utcnow


class Event(Model):
    """One change. `verb` is "noun:verb" ("proxy_host:create"); secrets are never part of before and after.

    `origin` says where it came from: a person's address, "agent edge-1", "command line" or "panel".
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_noun_object_id", "noun", "object_id"),
        Index("ix_event_actor_id", "actor_id"),
        Index("ix_event_verb", "verb"),
        Index("ix_event_at", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))  # None: the panel itself or an agent
    noun: Mapped[str] = mapped_column(String(32))
    verb: Mapped[str] = mapped_column(String(64))
    object_id: Mapped[str] = mapped_column(String(64))
    object_name: Mapped[str] = mapped_column(String(253), default="")
    origin: Mapped[str] = mapped_column(String(80), default="panel")
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    command_id: Mapped[str | None] = mapped_column(String(36))
