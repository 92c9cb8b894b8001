"""Certificates and channels for tests of news, and reports as an agent would send them.
May import: panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, Certificate, Notification, NotificationChannel, ProxyHost
from panel.services import channels, notifications

LIFETIME = timedelta(days=90)
MAIL = {
    "server": "127.0.0.1",
    "port": "2525",
    "security": "none",
    "sender": "waypost@example.com",
    "recipients": "ops@example.com",
}


def add_certificate(agent: Agent, now: datetime, **values: Any) -> Certificate:
    """A certificate that is on the agent's disk for a third of its life."""
    known = {
        "domain_names": ["app.example.com"],
        "is_present": True,
        "serial": "a1",
        "not_before": now - LIFETIME / 3,
        "not_after": now + LIFETIME * 2 / 3,
        "created_at": now - LIFETIME / 3,
    }
    certificate = Certificate(agent_id=agent.id, name="app.example.com", **{**known, **values})
    with transaction():
        db.session.add(certificate)
    return certificate


def add_host(agent: Agent, certificate: Certificate, name: str = "app.example.com") -> None:
    """A host that is served with the certificate."""
    with transaction():
        values = {"forward_host": "10.0.0.5", "forward_port": 80, "certificate_id": certificate.id}
        db.session.add(ProxyHost(agent_id=agent.id, domain_names=[name], **values))


def add_channel(name: str, config: Config, kind: str = "smtp", **values: str) -> NotificationChannel:
    """A channel as an administrator adds it."""
    with transaction():
        return channels.create(name, kind, {**(MAIL if kind == "smtp" else {}), **values}, None, config)


@dataclass(frozen=True)
class Report:
    """What an agent says of the certificate."""

    serial: str = "a1"
    failures: int = 0
    cause: str = ""
    is_present: bool = True


def report(certificate: Certificate, told: Report, now: datetime) -> None:
    """Stores a report as panel.services.certificate_reports does, in one transaction with the news of it."""
    with transaction():
        before = notifications.before(certificate)
        certificate.serial, certificate.failures, certificate.is_present = told.serial, told.failures, told.is_present
        certificate.last_failure = failure(told.cause) if told.failures else None
        notifications.certificate_changed(certificate, before, now)


def failure(cause: str, **values: str) -> dict[str, Any]:
    """A failure as the row has it."""
    sentence = f"The authority could not do it ({cause})."
    return {"cause": cause, "sentence": sentence, "next_step": "Open port 80 to the Internet.", **values}


def queued() -> Sequence[Notification]:
    """Everything that was ever queued, oldest first."""
    return db.session.scalars(select(Notification).order_by(Notification.id)).all()


def subjects() -> list[str]:
    """Their subjects."""
    return [one.subject for one in queued()]
