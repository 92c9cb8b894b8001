"""Proxy hosts: public names and the upstream that answers for them.
May import: panel.extensions, panel.models.{agent,certificate,host_tag,types}."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from panel.extensions import Model
from panel.models.agent import Agent
from panel.models.certificate import Certificate
from panel.models.host_tag import HostTag
from panel.models.types import UTCDateTime, utcnow


class ProxyHost(Model):
    """Names of one agent and where their requests go. Deleted ones stay for undo and give their names back."""

    __tablename__ = "proxy_host"
    # The list as it is opened: those that are not deleted, the last changed first; a page of it reads no more rows.
    __table_args__ = (Index("ix_proxy_host_deleted_at_changed_at", "deleted_at", "changed_at", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[str] = mapped_column(ForeignKey("agent.id"), index=True)
    domain_names: Mapped[list[str]] = mapped_column(JSON)  # as nginx needs them: lower case, punycode
    forward_scheme: Mapped[str] = mapped_column(String(5), default="http")
    forward_host: Mapped[str] = mapped_column(String(253))
    forward_port: Mapped[int]
    websocket: Mapped[bool] = mapped_column(default=True)
    is_enabled: Mapped[bool] = mapped_column(default=True)
    # HTTPS is served while the agent has the certificate; until then, and without it, the host is plain HTTP.
    certificate_id: Mapped[int | None] = mapped_column(ForeignKey("certificate.id"), index=True)
    force_ssl: Mapped[bool] = mapped_column(default=False)
    hsts: Mapped[bool] = mapped_column(default=False)
    http2: Mapped[bool] = mapped_column(default=True)
    notes: Mapped[str] = mapped_column(Text, default="")

    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Raised by each save; a form that was opened on an older one is told so.
    version: Mapped[int] = mapped_column(default=1)

    # The agent's generation at the last change; live once agent.applied_generation has reached it.
    changed_generation: Mapped[int] = mapped_column(default=0)
    # The generation at which nginx refused this host's file, and its words: set aside while it is the changed one.
    refused_generation: Mapped[int | None]
    refused_text: Mapped[str] = mapped_column(Text, default="")
    refused_line: Mapped[int] = mapped_column(default=0)
    refused_field: Mapped[str] = mapped_column(String(32), default="")
    refused_command_id: Mapped[str | None] = mapped_column(String(36))
    # The path and content of this host's file in the applied revision; empty when it is not live.
    live_path: Mapped[str] = mapped_column(String(255), default="")
    live_sha256: Mapped[str] = mapped_column(String(64), default="")

    agent: Mapped[Agent] = relationship(lazy="joined")
    certificate: Mapped[Certificate | None] = relationship(lazy="joined")
    # Read with a list of hosts by its own option; nginx needs none of them.
    tag_rows: Mapped[list[HostTag]] = relationship(order_by=HostTag.name, cascade="all, delete-orphan")

    @property
    def tags(self) -> list[str]:
        """The words by which people group it, sorted."""
        return sorted(row.name for row in self.tag_rows)

    @tags.setter
    def tags(self, names: Iterable[str]) -> None:
        kept = {row.name: row for row in self.tag_rows}
        self.tag_rows = [kept.get(name) or HostTag(name=name) for name in sorted(set(names))]

    @property
    def has_tls(self) -> bool:
        """Whether its file listens for HTTPS: it has a certificate, and the agent has its files."""
        return self.certificate is not None and self.certificate.is_present

    @property
    def is_deleted(self) -> bool:
        """Whether this host was deleted (and may be brought back)."""
        return self.deleted_at is not None

    @property
    def is_refused(self) -> bool:
        """Whether nginx refused the host as it is saved now."""
        return self.refused_generation == self.changed_generation

    @property
    def is_live(self) -> bool:
        """Whether nginx serves some version of this host, proved."""
        return bool(self.live_sha256)

    @property
    def has_unapplied_changes(self) -> bool:
        """Whether the host as saved differs from what was applied."""
        return self.changed_generation > self.agent.applied_generation or self.is_refused

    @property
    def primary_name(self) -> str:
        """The name that stands for the host in lists, files and sentences."""
        return self.domain_names[0]

    @property
    def upstream_url(self) -> str:
        """The upstream as one URL."""
        host = f"[{self.forward_host}]" if ":" in self.forward_host else self.forward_host
        return f"{self.forward_scheme}://{host}:{self.forward_port}"


class DomainName(Model):
    """The claim of one host on one name: unique over all hosts of an agent that are not deleted."""

    __tablename__ = "domain_name"

    agent_id: Mapped[str] = mapped_column(ForeignKey("agent.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(253), primary_key=True)
    proxy_host_id: Mapped[int] = mapped_column(ForeignKey("proxy_host.id"), index=True)
