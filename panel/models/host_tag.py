"""Tags: short words by which people group hosts.
May import: panel.extensions."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from panel.extensions import Model


class HostTag(Model):
    """One word of one host. A word that no host has any more is gone."""

    __tablename__ = "host_tag"

    proxy_host_id: Mapped[int] = mapped_column(ForeignKey("proxy_host.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(24), primary_key=True, index=True)
