"""Days gone by: what services do inside a block is told as if it had been done then, by somebody at an address.
May import: panel.demo.fleet, panel.services, panel.models and below."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import update

from panel.demo.fleet import ADDRESSES
from panel.extensions import db, transaction
from panel.models import (
    AcmeAuthority,
    Agent,
    AgentCertificate,
    BrowserSession,
    Certificate,
    Command,
    DnsCredential,
    Event,
    Invitation,
    Notification,
    NotificationChannel,
    ProxyHost,
    User,
)
from panel.models.types import utcnow
from panel.services import context

_TIMES: tuple[Any, ...] = (
    Event.at,
    User.created_at,
    Agent.created_at,
    Agent.joined_at,
    Agent.applied_at,
    AgentCertificate.issued_at,
    ProxyHost.created_at,
    ProxyHost.changed_at,
    Certificate.created_at,
    Certificate.changed_at,
    Command.created_at,
    BrowserSession.created_at,
    BrowserSession.last_seen_at,
    Notification.created_at,
    NotificationChannel.created_at,
    NotificationChannel.changed_at,
    DnsCredential.created_at,
    DnsCredential.changed_at,
    AcmeAuthority.created_at,
    Invitation.created_at,
)


@contextmanager
def happened(moment: datetime, actor: User | None = None, origin: str = context.PANEL) -> Iterator[None]:
    """One transaction whose rows carry `moment` instead of now. Order among them is that of their ids."""
    began = utcnow()
    where = ADDRESSES.get(actor.username, origin) if actor else origin
    with context.coming_from(where), transaction():
        yield
        db.session.flush()
        for column in _TIMES:
            db.session.execute(
                update(column.class_).where(column >= began).values({column.key: moment}),
                execution_options={"synchronize_session": False},
            )
