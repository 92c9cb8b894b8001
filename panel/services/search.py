"""Finding anything by a few letters: hosts, certificates, agents and people, each by one query, best matches first.
May import: panel.services.{certificate_queries,host_queries,name_search}, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Case, ColumnElement, String, case, cast, func, or_, select

from panel.extensions import db
from panel.models import Agent, Certificate, DomainName, ProxyHost, User
from panel.services import certificate_queries, name_search
from panel.services.host_queries import IS_REFUSED

MOST = 6  # of each noun
MAX_LENGTH = 100  # of what is searched for; names are no longer than 253, and people type a part


@dataclass(frozen=True)
class FoundHost:
    """A host with the name that fits best. `upstream` is host:port."""

    id: int
    name: str
    upstream: str
    is_enabled: bool
    is_refused: bool


@dataclass(frozen=True)
class FoundCertificate:
    """A certificate with the one of its names that fits best."""

    id: int
    name: str
    not_after: datetime | None
    is_present: bool


@dataclass(frozen=True)
class FoundAgent:
    """An agent; `hostname` is its machine."""

    id: str
    name: str
    hostname: str


@dataclass(frozen=True)
class FoundPerson:
    """Somebody who may log in, or may no more."""

    id: int
    username: str
    role: str


@dataclass(frozen=True)
class Found:
    """What fits, at most MOST of each noun. `people` are only for administrators."""

    hosts: Sequence[FoundHost] = ()
    certificates: Sequence[FoundCertificate] = ()
    agents: Sequence[FoundAgent] = ()
    people: Sequence[FoundPerson] = ()


def find(query: str, actor: User) -> Found:
    """What `actor` may see whose name begins with the query, then where a label of it does, then where it is inside.

    Without a query it is what was changed last, so that the way back to one's work is short.
    """
    words = name_search.typed(query)[:MAX_LENGTH]
    if not words:
        return Found(hosts=_latest_hosts())
    return Found(
        hosts=_hosts(words),
        certificates=_certificates(words),
        agents=_agents(words),
        people=_people(words) if actor.may_administer else (),
    )


def _hosts(words: str) -> list[FoundHost]:
    """One row per host: a host with many fitting names counts with its best one."""
    name, by_letters = name_search.to_punycode(words), name_search.find(DomainName.name, words)
    upstream = ProxyHost.forward_host + ":" + cast(ProxyHost.forward_port, String)
    ranks = {found: _rank_of(found, words) for found in by_letters}
    as_read = [(DomainName.name.in_([one for one in ranks if ranks[one] == rank]), rank) for rank in range(3)]
    rank = func.min(case(*as_read, else_=_rank(DomainName.name, name, otherwise=3)))
    is_name = or_(DomainName.name.contains(name, autoescape=True), DomainName.name.in_(by_letters))
    fits = or_(is_name, upstream.contains(words, autoescape=True))
    statement = (
        select(*_HOST)
        .join(DomainName, DomainName.proxy_host_id == ProxyHost.id)
        .where(ProxyHost.deleted_at.is_(None), fits)
        .group_by(ProxyHost.id)
        .order_by(rank, func.min(func.length(DomainName.name)), func.min(DomainName.name), ProxyHost.id)
    )
    return [_host(row, words) for row in db.session.execute(statement.limit(MOST))]


def _latest_hosts() -> list[FoundHost]:
    statement = select(*_HOST).where(ProxyHost.deleted_at.is_(None))
    latest = statement.order_by(ProxyHost.changed_at.desc(), ProxyHost.id.desc()).limit(5)
    return [_host(row, "") for row in db.session.execute(latest)]


_HOST = (
    ProxyHost.id,
    ProxyHost.domain_names,
    ProxyHost.forward_host,
    ProxyHost.forward_port,
    ProxyHost.is_enabled,
    IS_REFUSED.label("is_refused"),
)


def _host(row: Any, words: str) -> FoundHost:
    upstream = f"{row.forward_host}:{row.forward_port}"
    return FoundHost(row.id, _best(row.domain_names, words), upstream, bool(row.is_enabled), bool(row.is_refused))


def _certificates(words: str) -> list[FoundCertificate]:
    """Names lie in JSON, where each begins after a quotation mark."""
    name, names = name_search.to_punycode(words), cast(Certificate.domain_names, String)
    by_letters = Certificate.id.in_(certificate_queries.find_by_letters(words))
    fits = or_(*(column.icontains(name, autoescape=True) for column in (Certificate.name, names)), by_letters)
    in_names = case((names.icontains(f'"{name}', autoescape=True), 1), else_=2)
    statement = (
        select(Certificate.id, Certificate.domain_names, Certificate.not_after, Certificate.is_present)
        .where(fits)
        .order_by(_rank(Certificate.name, name, otherwise=in_names), func.length(Certificate.name), Certificate.id)
    )
    rows = db.session.execute(statement.limit(MOST))
    return [FoundCertificate(row.id, _best(row.domain_names, words), row.not_after, row.is_present) for row in rows]


def _agents(words: str) -> list[FoundAgent]:
    fits = or_(Agent.name.icontains(words, autoescape=True), Agent.hostname.icontains(words, autoescape=True))
    statement = (
        select(Agent.id, Agent.name, Agent.hostname)
        .where(fits)
        .order_by(Agent.revoked_at.is_not(None), _rank(func.lower(Agent.name), words, otherwise=3), Agent.name)
    )
    return [FoundAgent(*row) for row in db.session.execute(statement.limit(MOST))]


def _people(words: str) -> list[FoundPerson]:
    statement = (
        select(User.id, User.username, User.role)
        .where(User.username.contains(words, autoescape=True))
        .order_by(_rank(User.username, words, otherwise=3), User.username)
    )
    return [FoundPerson(*row) for row in db.session.execute(statement.limit(MOST))]


def _rank(column: ColumnElement[Any] | Any, words: str, *, otherwise: int | Case[int]) -> Case[int]:
    """0 at the start of a name, 1 at the start of a label, 2 inside."""
    return case(
        (column.startswith(words, autoescape=True), 0),
        (column.contains(f".{words}", autoescape=True), 1),
        (column.contains(words, autoescape=True), 2),
        else_=otherwise,
    )


def _best(names: Sequence[str], words: str) -> str:
    """The first name that fits best."""
    return min(names, key=lambda name: _rank_of(name, words))


def _rank_of(name: str, words: str) -> int:
    """The same for one name, as it is read or as it is stored."""
    return min(_place(name, name_search.to_punycode(words)), _place(name_search.read(name), words))


def _place(name: str, words: str) -> int:
    if name.startswith(words):
        return 0
    return 1 if f".{words}" in name else 2 if words in name else 3
