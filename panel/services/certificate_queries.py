"""Finding certificates: one page of the list, those that fit a host, the hosts that use one.
May import: panel.services.{certificate_conditions,coverage,name_search,paging}, panel.models and below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, func, or_, select
from sqlalchemy.orm import joinedload

from panel.errors import NotFound
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import DUE_PART, Agent, Certificate, CertificateSource, ProxyHost
from panel.models.types import utcnow
from panel.services import coverage, name_search
from panel.services.certificate_conditions import IS_FAILING, STATUSES, is_due_at
from panel.services.paging import Page, paginate

# What a row of the list says of others; joined only here, where it is read for every row.
_WITH_THEIR_OWN = (joinedload(Certificate.agent), joinedload(Certificate.authority))
_FIRST_NAME = Certificate.name
_NAMES = cast(Certificate.domain_names, String)
_ORDERS: dict[str, tuple[Any, ...]] = {
    "name": (_FIRST_NAME,),
    "agent": (Agent.name, _FIRST_NAME),
    "authority": (Certificate.issuer, _FIRST_NAME),
    "next": (Certificate.next_action_at.is_(None), Certificate.next_action_at),
    "expires": (Certificate.not_after.is_(None), Certificate.not_after),
}


def get(certificate_id: int) -> Certificate:
    """The certificate with this id. Raises NotFound."""
    certificate = db.session.get(Certificate, certificate_id) if 0 < certificate_id < 2**31 else None
    if certificate is None:
        raise NotFound(_("There is no such certificate. The list of certificates shows those that exist."))
    return certificate


def by_ids(ids: Sequence[int]) -> list[Certificate]:
    """The certificates with these ids that exist, by name."""
    return list(db.session.scalars(select(Certificate).where(Certificate.id.in_(ids)).order_by(Certificate.name)))


def on_agents(agent_ids: Iterable[str]) -> list[Certificate]:
    """All certificates of these agents."""
    return list(db.session.scalars(select(Certificate).where(Certificate.agent_id.in_(list(agent_ids)))))


def find_by_name(agent_id: str, name: str) -> Certificate | None:
    """The agent's certificate in the folder of this name."""
    return db.session.scalar(select(Certificate).where(Certificate.agent_id == agent_id, Certificate.name == name))


def list_page(
    *,
    query: str = "",
    status: str | None = None,
    agent_id: str | None = None,
    authority_id: int = 0,
    sort: str = "expires",
    descending: bool = False,
    page: int = 1,
    per_page: int = 50,
) -> Page[Certificate]:
    """Certificates, those that end first at the top. Unknown statuses filter nothing, unknown sorts are "expires".

    `status`: due, failing, unused, paused, found, absent. `sort`: name, agent, authority, next, expires.
    """
    statement = select(Certificate).join(Agent, Agent.id == Certificate.agent_id).options(*_WITH_THEIR_OWN)
    if query.strip():
        statement = statement.where(_matches(query))
    if agent_id:
        statement = statement.where(Certificate.agent_id == agent_id)
    if authority_id:
        statement = statement.where(Certificate.authority_id == authority_id)
    if status == "due":
        statement = statement.where(is_due_at(utcnow()))
    elif status in STATUSES:
        statement = statement.where(STATUSES[status])
    first, *rest = (*_ORDERS.get(sort, _ORDERS["expires"]), Certificate.id)
    columns = [first, *rest]
    ordered = [column.desc() if descending else column.asc() for column in columns]
    return paginate(statement.order_by(*ordered), page, per_page)


def select_due_count(now: datetime) -> Select[int]:
    """How many a person should look at: due or failing, and not left to certbot."""
    wanted = or_(is_due_at(now), IS_FAILING)
    return select(func.count(Certificate.id)).where(wanted, Certificate.source != CertificateSource.CERTBOT)


def is_due(certificate: Certificate, now: datetime) -> bool:
    """Whether a third of its lifetime or less is left."""
    if certificate.not_before is None or certificate.not_after is None or not certificate.is_present:
        return False
    return certificate.not_after - now <= (certificate.not_after - certificate.not_before) / DUE_PART


def hosts_using(certificate: Certificate) -> list[ProxyHost]:
    """The hosts that are served with it, by name; deleted ones are not."""
    query = select(ProxyHost).where(ProxyHost.certificate_id == certificate.id, ProxyHost.deleted_at.is_(None))
    return sorted(db.session.scalars(query), key=lambda host: host.primary_name)


def hosts_matching(certificate: Certificate) -> list[ProxyHost]:
    """The hosts of its agent that could be served with it and are not yet, by name."""
    query = select(ProxyHost).where(ProxyHost.agent_id == certificate.agent_id, ProxyHost.deleted_at.is_(None))
    others = [host for host in db.session.scalars(query) if host.certificate_id != certificate.id]
    fitting = [host for host in others if coverage.covers(certificate, host.domain_names)]
    return sorted(fitting, key=lambda host: host.primary_name)


def users_of(certificate_ids: Iterable[int]) -> dict[int, list[tuple[int, str]]]:
    """The hosts that use each of these certificates as (id, first name), by name; those that none uses are left out."""
    query = select(ProxyHost.certificate_id, ProxyHost.id, ProxyHost.domain_names).where(
        ProxyHost.certificate_id.in_(list(certificate_ids)), ProxyHost.deleted_at.is_(None)
    )
    found: dict[int, list[tuple[int, str]]] = {}
    for certificate_id, host_id, names in db.session.execute(query):
        found.setdefault(certificate_id or 0, []).append((host_id, names[0]))
    return {certificate_id: sorted(users, key=lambda user: user[1]) for certificate_id, users in found.items()}


def matching(agent_id: str, names: Sequence[str]) -> list[Certificate]:
    """The agent's certificates that are good for all these names: usable ones first, then by how long they last."""
    now = utcnow()
    query = select(Certificate).where(Certificate.agent_id == agent_id)
    fitting = [one for one in db.session.scalars(query) if names and coverage.covers(one, names)]
    return sorted(fitting, key=lambda one: (not coverage.is_usable(one, now), -_end(one), one.name))


def find_exact(agent_id: str, names: Sequence[str]) -> list[Certificate]:
    """The agent's certificates for exactly these names, in any order: usable ones first, newest first."""
    now, wanted = utcnow(), set(names)
    query = select(Certificate).where(Certificate.agent_id == agent_id).order_by(Certificate.id.desc())
    fitting = [one for one in db.session.scalars(query) if set(one.names) == wanted]
    return sorted(fitting, key=lambda one: (not coverage.is_usable(one, now), -_end(one)))


def find_by_letters(words: str) -> list[int]:
    """The certificates with a name that holds the words as it is read, and not as it is stored; by their ids."""
    if not name_search.has_letters(words):
        return []
    query = select(Certificate.id, Certificate.domain_names).where(_NAMES.contains("xn--"))
    rows = db.session.execute(query)
    return [number for number, names in rows if any(words in name_search.read(name) for name in names)]


def _matches(query: str) -> ColumnElement[bool]:
    words = name_search.typed(query)
    columns = (_NAMES, cast(Certificate.reported_names, String), Certificate.name, Certificate.issuer)
    found = (column.icontains(words, autoescape=True) for column in columns)
    return or_(*found, Certificate.id.in_(find_by_letters(words)))


def _end(certificate: Certificate) -> float:
    return certificate.not_after.timestamp() if certificate.not_after else 0.0
