"""ACME authorities: where certificates are ordered, and as whom.
May import: panel.extensions, panel.models.types."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from panel.extensions import Model
from panel.models.types import UTCDateTime, utcnow


class AcmeAuthority(Model):
    """One directory (RFC 8555 section 7.1.1) and what an account there needs. Each agent has an account of its own."""

    __tablename__ = "acme_authority"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    directory_url: Mapped[str] = mapped_column(String(255))
    staging_directory_url: Mapped[str] = mapped_column(String(255), default="")
    ca_pem: Mapped[str] = mapped_column(Text, default="")  # who signs the directory's own TLS certificate
    email: Mapped[str] = mapped_column(String(253), default="")
    eab_kid: Mapped[str] = mapped_column(String(255), default="")
    eab_key_sealed: Mapped[str] = mapped_column(Text, default="")
    needs_eab: Mapped[bool] = mapped_column(default=False)
    is_test: Mapped[bool] = mapped_column(default=False)  # no browser trusts what it issues
    dns_server: Mapped[str] = mapped_column(String(64), default="")  # of a test authority: "127.0.0.1:8053"
    is_builtin: Mapped[bool] = mapped_column(default=False)
    is_default: Mapped[bool] = mapped_column(default=False)
    fallback_position: Mapped[int | None]  # 1, 2 … among those to fall back on; None: never
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    @property
    def is_ready(self) -> bool:
        """Whether an order can be sent: it has an address, and the external account that it may want."""
        has_account = bool(self.eab_kid and self.eab_key_sealed)
        return bool(self.directory_url) and (has_account or not self.needs_eab)
