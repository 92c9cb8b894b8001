"""DNS credentials: what lets an agent add a TXT record for DNS-01. Chosen by name, write-only.
May import: panel.extensions, panel.models.types."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from panel.extensions import Model
from panel.models.types import UTCDateTime, utcnow


class DnsCredential(Model):
    """The values of one account at one DNS provider. `sealed_fields` is sealed JSON and never shown again."""

    __tablename__ = "dns_credential"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    provider: Mapped[str] = mapped_column(String(64))  # as agents name it
    sealed_fields: Mapped[str] = mapped_column(Text, default="")
    zone: Mapped[str] = mapped_column(String(253), default="")  # where it was tested
    tested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    test_error: Mapped[str] = mapped_column(Text, default="")  # of the last test; empty when it passed or none ran
    test_command_id: Mapped[str | None] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
