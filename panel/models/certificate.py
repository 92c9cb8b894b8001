"""Certificates: what was asked for, what the agent says lies on its disk, and how the next renewal stands.
May import: panel.extensions, panel.models.{acme_authority,agent,dns_credential,types}."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from panel.extensions import Model
from panel.models.acme_authority import AcmeAuthority
from panel.models.agent import Agent
from panel.models.dns_credential import DnsCredential
from panel.models.types import UTCDateTime, utcnow

# From this part of the lifetime on a certificate is to be renewed, and its agent is at it: so much is left by then.
DUE_PART = 3


class CertificateSource(StrEnum):
    """Who looks after it: the agent by ACME, a person by upload, or certbot until it is taken over."""

    ACME = "acme"
    UPLOAD = "upload"
    CERTBOT = "certbot"


class Challenge(StrEnum):
    """How the authority is shown that a name is ours (RFC 8555 section 8)."""

    HTTP_01 = "http-01"
    DNS_01 = "dns-01"


class KeyType(StrEnum):
    """The keys that a certificate can have; the same words as in the contract."""

    EC_256 = "ec-256"
    EC_384 = "ec-384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"


class Certificate(Model):
    """One lineage on one agent. The first half is what people decided, the second what the agent reported last."""

    __tablename__ = "certificate"
    __table_args__ = (
        Index("ix_certificate_agent_id_name", "agent_id", "name", unique=True),
        Index("ix_certificate_not_after", "not_after"),
        Index("ix_certificate_due_at", "due_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[str] = mapped_column(ForeignKey("agent.id"))
    name: Mapped[str] = mapped_column(String(200))  # of the lineage: its folder in live/
    domain_names: Mapped[list[str]] = mapped_column(JSON)  # A-labels, or addresses
    source: Mapped[str] = mapped_column(String(16), default=CertificateSource.ACME)
    authority_id: Mapped[int | None] = mapped_column(ForeignKey("acme_authority.id"), index=True)
    challenge: Mapped[str] = mapped_column(String(16), default=Challenge.HTTP_01)
    dns_credential_id: Mapped[int | None] = mapped_column(ForeignKey("dns_credential.id"))
    propagation_seconds: Mapped[int] = mapped_column(default=0)  # wait so long instead of asking name servers
    key_type: Mapped[str] = mapped_column(String(16), default=KeyType.EC_256)
    profile: Mapped[str] = mapped_column(String(32), default="")
    is_paused: Mapped[bool] = mapped_column(default=False)  # not renewed by itself
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    # What the agent reported last.
    reported_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    is_present: Mapped[bool] = mapped_column(default=False)  # loadable files are on the agent's disk
    is_served: Mapped[bool] = mapped_column(default=False)  # the last handshake with nginx saw this serial
    problem: Mapped[str] = mapped_column(Text, default="")
    serial: Mapped[str] = mapped_column(String(64), default="")
    sha256: Mapped[str] = mapped_column(String(64), default="")
    issuer: Mapped[str] = mapped_column(String(255), default="")
    reported_names: Mapped[list[str]] = mapped_column(JSON, default=list)
    reported_key_type: Mapped[str] = mapped_column(String(16), default="")
    issued_by_url: Mapped[str] = mapped_column(String(255), default="")  # the directory of the authority that issued it
    not_before: Mapped[datetime | None] = mapped_column(UTCDateTime)
    not_after: Mapped[datetime | None] = mapped_column(UTCDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # follows from the two, so that it can be asked for
    chain_path: Mapped[str] = mapped_column(String(512), default="")
    key_path: Mapped[str] = mapped_column(String(512), default="")
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    next_action: Mapped[str] = mapped_column(String(16), default="")
    next_action_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    window_start: Mapped[datetime | None] = mapped_column(UTCDateTime)
    window_end: Mapped[datetime | None] = mapped_column(UTCDateTime)
    window_url: Mapped[str] = mapped_column(String(255), default="")
    failures: Mapped[int] = mapped_column(default=0)
    last_failure: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # as CertificateFailure in the contract
    last_attempt_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    # Few rows that a session soon knows all: joined, they would widen every query of hosts.
    agent: Mapped[Agent] = relationship()
    authority: Mapped[AcmeAuthority | None] = relationship()
    dns_credential: Mapped[DnsCredential | None] = relationship()

    @validates("not_before", "not_after")
    def _set_due(self, key: str, value: datetime | None) -> datetime | None:
        ends = {"not_before": self.not_before, "not_after": self.not_after, key: value}
        begin, end = ends["not_before"], ends["not_after"]
        self.due_at = end - (end - begin) / DUE_PART if begin and end else None
        return value

    @property
    def names(self) -> list[str]:
        """What it is for: the names on the disk once there are any, else those that were asked for."""
        return self.reported_names or self.domain_names

    @property
    def lifetime(self) -> timedelta | None:
        """From its first to its last moment; None before it was issued."""
        return self.not_after - self.not_before if self.not_after and self.not_before else None

    @property
    def is_renewable(self) -> bool:
        """Whether the agent can get the next one by itself."""
        return self.source == CertificateSource.ACME


class UploadedKey(Model):
    """The key of an upload, sealed, until the agent has it: the row goes when the command ends."""

    __tablename__ = "uploaded_key"

    command_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    sealed_key: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
