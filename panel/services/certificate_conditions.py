"""Conditions over certificates, in SQL: what the list's filters mean, and what is counted.
May import: panel.models."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, not_, or_, select

from panel.models import Certificate, CertificateSource, ProxyHost

IS_USED: ColumnElement[bool] = (
    select(ProxyHost.id).where(ProxyHost.certificate_id == Certificate.id, ProxyHost.deleted_at.is_(None)).exists()
)
IS_FAILING: ColumnElement[bool] = or_(Certificate.failures > 0, Certificate.problem != "")


def is_due_at(now: datetime) -> ColumnElement[bool]:
    """Whether a third of its lifetime or less is left at `now`."""
    return and_(Certificate.is_present, Certificate.due_at <= now)


STATUSES: dict[str, ColumnElement[bool]] = {
    "failing": IS_FAILING,
    "unused": not_(IS_USED),
    "paused": Certificate.is_paused.is_(True),
    "found": Certificate.source == CertificateSource.CERTBOT,
    "absent": not_(Certificate.is_present),
}
