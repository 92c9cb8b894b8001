"""How all certificates stand, from the few columns that decide it, and those that a person should look at.
May import: panel.services.{certificate_conditions,certificate_queries,jobs}, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, not_, or_, select

from panel.extensions import db
from panel.models import DUE_PART, AcmeAuthority, Certificate, CertificateSource, Command, DnsCredential
from panel.services import certificate_queries, jobs
from panel.services.certificate_conditions import IS_FAILING

_COLUMNS = (
    Certificate.id,
    Certificate.not_before,
    Certificate.not_after,
    Certificate.is_present,
    Certificate.failures,
    Certificate.problem,
    Certificate.serial,
    Certificate.revoked_at,
    Certificate.source,
    Certificate.is_paused,
    Certificate.next_action_at,
)
# What is left of a life: from LATE on somebody should know, whoever is at it.
LATE = 1 / 5
OVERDUE = timedelta(hours=1)  # a planned renewal that is later than this is not under way


@dataclass(frozen=True)
class Suspect:
    """One certificate that may need a person, the hosts that use it by their first names, and the job on it."""

    certificate: Certificate
    hosts: tuple[str, ...]
    job: Command | None


@dataclass(frozen=True)
class Census:
    """All certificates: `good` ones, `due` (a third of the life or less is left, or a renewal failed), `bad` (over,
    revoked, missing, or never obtained) and `coming`, which were never there yet."""

    good: int
    due: int
    bad: int
    coming: int
    suspects: Sequence[Suspect]
    authorities: Sequence[AcmeAuthority]
    credentials: Sequence[DnsCredential]

    @property
    def total(self) -> int:
        """All of them."""
        return self.good + self.due + self.bad + self.coming


def take(now: datetime) -> Census:
    """Counts every certificate, and reads those that are not simply good."""
    total = db.session.scalar(select(func.count(Certificate.id))) or 0
    rows = db.session.execute(select(*_COLUMNS).where(_may_be_other_than_good(now))).all()
    counted = [_word(row, now) for row in rows]
    ids = [row.id for row, word in zip(rows, counted, strict=True) if _is_suspect(row, word, now)]
    # Read before the certificates, which then find theirs without a query for each.
    authorities = list(db.session.scalars(select(AcmeAuthority).order_by(AcmeAuthority.name)))
    credentials = list(db.session.scalars(select(DnsCredential).order_by(DnsCredential.name)))
    return Census(
        good=total - len(rows) + counted.count("good"),
        due=counted.count("due"),
        bad=counted.count("bad"),
        coming=counted.count("coming"),
        suspects=_suspects(ids),
        authorities=authorities,
        credentials=credentials,
    )


def next_to_end(limit: int) -> list[Certificate]:
    """Those on a disk that end first."""
    query = select(Certificate).where(Certificate.is_present.is_(True), Certificate.not_after.is_not(None))
    return list(db.session.scalars(query.order_by(Certificate.not_after, Certificate.id).limit(limit)))


def _may_be_other_than_good(now: datetime) -> ColumnElement[bool]:
    """The others are counted where they lie. `_word` decides."""
    is_late = or_(Certificate.due_at <= now, Certificate.not_after <= now)
    return or_(not_(Certificate.is_present), Certificate.revoked_at.is_not(None), IS_FAILING, is_late)


def _suspects(ids: Sequence[int]) -> list[Suspect]:
    found = db.session.scalars(select(Certificate).where(Certificate.id.in_(ids)).order_by(Certificate.id)).all()
    users = certificate_queries.users_of(ids)
    under_way: Mapping[int, Command] = jobs.open_about(ids)
    return [Suspect(one, tuple(name for _, name in users.get(one.id, ())), under_way.get(one.id)) for one in found]


def _word(row: Any, now: datetime) -> str:
    if row.revoked_at is not None:
        return "bad"
    if not row.is_present:
        return "bad" if row.problem or row.serial or row.failures else "coming"
    if row.not_after is None or row.not_before is None:
        return "good"
    if row.not_after <= now:
        return "bad"
    is_due = row.not_after - now <= (row.not_after - row.not_before) / DUE_PART
    return "due" if is_due or row.failures or row.problem else "good"


def _is_suspect(row: Any, word: str, now: datetime) -> bool:
    """Most of those that are due are being renewed: their rows are not worth reading."""
    return word != "good" and not (word == "due" and not row.failures and is_looked_after(row, now))


def is_looked_after(row: Any, now: datetime) -> bool:
    """Whether its agent, or certbot, is at it and in time; `row` has the columns of a certificate."""
    is_planned = row.next_action_at is not None and row.next_action_at > now - OVERDUE and not row.is_paused
    is_foreign = row.source == CertificateSource.CERTBOT
    is_cared_for = is_foreign or (row.source == CertificateSource.ACME and is_planned)
    return is_cared_for and share_left(row, now) > LATE


def share_left(row: Any, now: datetime) -> float:
    """How much of its life is left, 1 to 0; 1 when that is not known. `row` has the columns of a certificate."""
    if row.not_after is None or row.not_before is None or row.not_after <= row.not_before:
        return 1.0
    left: float = (row.not_after - now) / (row.not_after - row.not_before)
    return max(0.0, left)
