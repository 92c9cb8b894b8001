"""Agents: machines that run nginx, what they said of themselves, what they were asked to be and what they are.
May import: panel.extensions, panel.models.types."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from panel.extensions import Model
from panel.models.types import UTCDateTime, utcnow


class AgentStatus(StrEnum):
    """What people see. `waiting` has never joined; `syncing` is connected and not yet resynchronised;
    `refused` would come, but the panel cannot let it in."""

    WAITING = "waiting"
    SYNCING = "syncing"
    ONLINE = "online"
    STALE = "stale"
    OFFLINE = "offline"
    REFUSED = "refused"
    REVOKED = "revoked"


class Agent(Model):
    """A machine with nginx. Its generation counts saved changes; a revision is the hash of rendered files."""

    __tablename__ = "agent"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    joined_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    # The live session: the newest epoch wins, and only it may write.
    session_epoch: Mapped[int] = mapped_column(default=0)
    is_connected: Mapped[bool] = mapped_column(default=False)
    is_synced: Mapped[bool] = mapped_column(default=False)
    connected_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    boots: Mapped[list[str]] = mapped_column(JSON, default=list)  # the processes that held the stream, newest last
    refused_because: Mapped[str] = mapped_column(Text, default="")  # why the panel does not let it in; a sentence

    # What Hello said.
    boot_id: Mapped[str] = mapped_column(String(64), default="")
    version: Mapped[str] = mapped_column(String(32), default="")
    protocol: Mapped[int] = mapped_column(default=0)
    hostname: Mapped[str] = mapped_column(String(255), default="")
    os: Mapped[str] = mapped_column(String(128), default="")
    nginx_version: Mapped[str] = mapped_column(String(32), default="")
    nginx_modules: Mapped[list[str]] = mapped_column(JSON, default=list)
    nginx_running: Mapped[bool] = mapped_column(default=False)
    nginx_problem: Mapped[str] = mapped_column(Text, default="")
    http_port: Mapped[int] = mapped_column(default=80)
    https_port: Mapped[int] = mapped_column(default=443)
    has_ipv6: Mapped[bool] = mapped_column(default=False)

    # What Hello and its reports said of certificates.
    # As DnsProvider in the contract. Some 25 KB of JSON, so that it is read only where it is asked for.
    dns_providers: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list, deferred=True)
    letsencrypt_dir: Mapped[str] = mapped_column(String(512), default="")
    certificates_problem: Mapped[str] = mapped_column(Text, default="")

    # What its reports said of Docker and of upstreams, as DockerReport and UpstreamState in the contract. Both may be
    # large and an agent is read with every host, so that they are read only when they are asked for.
    docker: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, deferred=True)
    docker_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    upstreams: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list, deferred=True)
    upstreams_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    trusts_labels: Mapped[bool] = mapped_column(default=False)  # containers with waypost.* labels become hosts unasked

    # Saved is not live: generation counts what is saved, applied_* is what was proved.
    generation: Mapped[int] = mapped_column(default=0)
    applied_generation: Mapped[int] = mapped_column(default=0)
    applied_revision: Mapped[str] = mapped_column(String(64), default="")
    applied_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reported_revision: Mapped[str] = mapped_column(String(64), default="")
    apply_error: Mapped[str] = mapped_column(Text, default="")
    apply_error_command_id: Mapped[str | None] = mapped_column(String(36))

    # Files on its machine that somebody changed by hand, as panel.services.drift describes them; and what is done then.
    drift: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    drift_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    heals_drift: Mapped[bool] = mapped_column(default=False)
    drift_healed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    next_command_seq: Mapped[int] = mapped_column(BigInteger, default=1)

    @property
    def is_revoked(self) -> bool:
        """Whether this agent was shut out."""
        return self.revoked_at is not None

    @property
    def has_joined(self) -> bool:
        """Whether this agent ever got a certificate."""
        return self.joined_at is not None

    @property
    def short_revision(self) -> str:
        """The applied revision as people read it."""
        return self.applied_revision[:8]

    @property
    def has_unapplied_changes(self) -> bool:
        """Whether something is saved that is not live."""
        return self.generation > self.applied_generation


class AgentCertificate(Model):
    """A client certificate that the panel's CA issued. A revoked one opens no stream."""

    __tablename__ = "agent_certificate"

    serial: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(ForeignKey("agent.id"), index=True)
    public_key_sha256: Mapped[str] = mapped_column(String(64))
    not_after: Mapped[datetime] = mapped_column(UTCDateTime)
    issued_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Revision(Model):
    """One rendered state of one agent, immutable: its manifest and, for the panel, which generation it holds."""

    __tablename__ = "revision"
    __table_args__ = (Index("ix_revision_agent_id_revision", "agent_id", "revision", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[str] = mapped_column(ForeignKey("agent.id"))
    revision: Mapped[str] = mapped_column(String(64))
    manifest: Mapped[dict[str, str]] = mapped_column(JSON)  # path to sha256
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)


class ConfigContent(Model):
    """The text of one configuration file, stored once under its hash."""

    __tablename__ = "config_content"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
