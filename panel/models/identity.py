"""Who somebody is at an OpenID provider.
May import: panel.extensions, panel.models.types."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from panel.extensions import Model
from panel.models.types import UTCDateTime, utcnow


class Identity(Model):
    """Who a person is at an OpenID provider: the pair (issuer, subject), which never changes and is never reused."""

    __tablename__ = "identity"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    label: Mapped[str] = mapped_column(String(254), default="")  # what the provider calls the person; shown only
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
