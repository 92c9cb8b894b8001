"""Commands to agents and their output: what was asked, how far it came, what was said on the way.
May import: panel.extensions, panel.models.agent, panel.models.user, panel.models.types."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from panel.extensions import Model
from panel.models.agent import Agent
from panel.models.types import UTCDateTime, utcnow
from panel.models.user import User


class CommandKind(StrEnum):
    """What can be asked of an agent; the same words as in the contract."""

    APPLY_CONFIG = "apply_config"
    TEST_CONFIG = "test_config"
    RELOAD = "reload"
    CHECK_NGINX = "check_nginx"
    ISSUE_CERTIFICATE = "issue_certificate"
    RENEW_CERTIFICATE = "renew_certificate"
    REVOKE_CERTIFICATE = "revoke_certificate"
    INSTALL_CERTIFICATE = "install_certificate"
    DELETE_CERTIFICATE = "delete_certificate"
    CONFIGURE_CERTIFICATE = "configure_certificate"
    TAKE_OVER_CERTIFICATE = "take_over_certificate"
    CHECK_NAMES = "check_names"
    CHECK_DNS_CREDENTIAL = "check_dns_credential"
    LIST_NETWORKS = "list_networks"
    LIST_CONTAINERS = "list_containers"
    CONTAINER_NETWORKS = "container_networks"
    ATTACH_NETWORK = "attach_network"
    DETACH_NETWORK = "detach_network"
    CHECK_UPSTREAM = "check_upstream"
    CHECK_ADDRESSES = "check_addresses"

    @property
    def is_question(self) -> bool:
        """Questions are answered in seconds or not at all, and never redelivered."""
        return self in _QUESTIONS

    @property
    def has_bundle(self) -> bool:
        """Whether files go with it."""
        return self in {CommandKind.APPLY_CONFIG, CommandKind.TEST_CONFIG}

    @property
    def is_about_certificate(self) -> bool:
        """Whether its resource is one certificate ("acme:<name>") and its result a CertificateResult."""
        return self.value.endswith("_certificate")

    @property
    def is_about_docker(self) -> bool:
        """Whether it is about the Docker Engine beside the agent, or about what nginx can reach."""
        return self in _DOCKER


_DOCKER = {
    CommandKind.LIST_NETWORKS,
    CommandKind.LIST_CONTAINERS,
    CommandKind.CONTAINER_NETWORKS,
    CommandKind.ATTACH_NETWORK,
    CommandKind.DETACH_NETWORK,
    CommandKind.CHECK_UPSTREAM,
}
_QUESTIONS = {
    CommandKind.CHECK_NGINX,
    CommandKind.CHECK_NAMES,
    CommandKind.CHECK_DNS_CREDENTIAL,
    CommandKind.LIST_NETWORKS,
    CommandKind.LIST_CONTAINERS,
    CommandKind.CONTAINER_NETWORKS,
    CommandKind.CHECK_UPSTREAM,
    CommandKind.CHECK_ADDRESSES,
}
# What pages ask for themselves, again and again: no job that anybody looks for.
BACKGROUND_KINDS = (CommandKind.CHECK_UPSTREAM, CommandKind.CHECK_ADDRESSES)


class CommandState(StrEnum):
    """queued → sent → running → succeeded | failed | expired | cancelled."""

    QUEUED = "queued"
    SENT = "sent"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OPEN_STATES = (CommandState.QUEUED, CommandState.SENT, CommandState.RUNNING)


class Command(Model):
    """One request to one agent. Every change of `state` is a compare-and-set in panel.services.commands."""

    __tablename__ = "command"
    # A row is large (its payload names every file), so that whatever is asked often must not read them all.
    __table_args__ = (
        Index("ix_command_agent_id_state_kind", "agent_id", "state", "kind"),
        Index("ix_command_state_kind", "state", "kind"),
        Index("ix_command_kind_created_at", "kind", "created_at"),
        Index("ix_command_created_at", "created_at", "seq"),
        Index("ix_command_agent_id_finished_at", "agent_id", "finished_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)  # uuid, also the idempotency key on the agent
    agent_id: Mapped[str] = mapped_column(ForeignKey("agent.id"))
    seq: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(32))
    resource: Mapped[str] = mapped_column(String(255), default="")  # "nginx", "docker", "acme:<name>"; "" for questions
    payload: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    state: Mapped[str] = mapped_column(String(16), default=CommandState.QUEUED)
    reason: Mapped[str] = mapped_column(String(32), default="")  # FAILED, INTERRUPTED, UNSUPPORTED, LOST, TIMEOUT …
    error: Mapped[str] = mapped_column(Text, default="")  # the sentence people read
    outcome_known: Mapped[bool] = mapped_column(default=True)
    result: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    idempotency_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    retry_of_id: Mapped[str | None] = mapped_column(String(36))
    sent_epoch: Mapped[int | None]
    delivery_count: Mapped[int] = mapped_column(default=0)
    last_output_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    certificate_id: Mapped[int | None] = mapped_column(index=True)  # what it is about; kept when that is deleted
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    not_before: Mapped[datetime | None] = mapped_column(UTCDateTime)  # edits within a window become one reload
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)  # if never sent by then
    run_timeout: Mapped[float] = mapped_column(default=120.0)  # seconds, once started
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    acked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    agent: Mapped[Agent] = relationship(lazy="joined")
    created_by: Mapped[User | None] = relationship(lazy="joined")

    @property
    def is_open(self) -> bool:
        """Whether a result is still to come."""
        return self.state in OPEN_STATES

    @property
    def has_succeeded(self) -> bool:
        """Whether the agent reported success."""
        return self.state == CommandState.SUCCEEDED


class CommandOutput(Model):
    """One line of one command, under the agent's own number; also the cursor of the live page."""

    __tablename__ = "command_output"

    command_id: Mapped[str] = mapped_column(ForeignKey("command.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    stage: Mapped[str] = mapped_column(String(16), default="")
    level: Mapped[str] = mapped_column(String(8), default="info")  # stage info ok warning error record
    text: Mapped[str] = mapped_column(Text)
