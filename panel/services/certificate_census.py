"""How all certificates stand, from the few columns that decide it, and those that a person should look at.
May import: panel.services.{certificate_queries,jobs}, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from panel.extensions import db
from panel.models import DUE_PART, AcmeAuthority, Certificate, Command, DnsCredential
from panel.services import certificate_queries, jobs

_COLUMNS = (
    Certificate.id,
    Certificate.not_before,
    Certificate.not_after,
    Certificate.is_present,
    Certificate.failures,
    Certificate.problem,
    Certificate.serial,
    Certificate.revoked_at,
)


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
    words = {row.id: _word(row, now) for row in db.session.execute(select(*_COLUMNS))}
    ids = [certificate_id for certificate_id, word in words.items() if word != "good"]
    counted = list(words.values())
    # Read before the certificates, which then find theirs without a query for each.
    authorities = list(db.session.scalars(select(AcmeAuthority).order_by(AcmeAuthority.name)))
    credentials = list(db.session.scalars(select(DnsCredential).order_by(DnsCredential.name)))
    return Census(
        good=counted.count("good"),
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


def share_left(certificate: Certificate, now: datetime) -> float:
    """How much of its life is left, 1 to 0; 1 when that is not known."""
    lifetime = certificate.lifetime
    if certificate.not_after is None or lifetime is None or lifetime <= timedelta():
        return 1.0
    return max(0.0, (certificate.not_after - now) / lifetime)
