"""One-time tokens: the setup link and agents' join tokens. Only their hashes are stored.
May import: panel.extensions, panel.models.types."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from panel.extensions import Model
from panel.models.types import UTCDateTime, utcnow


class TokenPurpose(StrEnum):
    """What a token opens."""

    SETUP = "setup"
    JOIN = "join"


class OneTimeToken(Model):
    """A secret that works once. `used_by_key` lets the same agent key repeat a join whose reply was lost."""

    __tablename__ = "one_time_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16))
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    agent_id: Mapped[str | None] = mapped_column(ForeignKey("agent.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    used_by_key: Mapped[str | None] = mapped_column(String(64))
