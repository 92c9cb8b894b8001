"""Conditions and orders over hosts, in SQL: what the list's filters, search and headings mean.
May import: panel.models, idna."""

from __future__ import annotations

from typing import Any

import idna
from sqlalchemy import ColumnElement, String, and_, case, cast, not_, or_, select

from panel.models import Agent, DomainName, ProxyHost

IS_REFUSED: ColumnElement[bool] = and_(
    ProxyHost.refused_generation.is_not(None), ProxyHost.refused_generation == ProxyHost.changed_generation
)
# The statement must join Agent.
IS_UNAPPLIED: ColumnElement[bool] = or_(ProxyHost.changed_generation > Agent.applied_generation, IS_REFUSED)
IS_LIVE: ColumnElement[bool] = ProxyHost.live_sha256 != ""

STATUSES: dict[str | None, ColumnElement[bool]] = {
    "serving": and_(ProxyHost.is_enabled, IS_LIVE, not_(IS_UNAPPLIED)),
    "unapplied": IS_UNAPPLIED,
    "refused": IS_REFUSED,
    "disabled": not_(ProxyHost.is_enabled),
}

_PRIMARY_NAME = ProxyHost.domain_names[0].as_string()
_SEVERITY = case((IS_REFUSED, 0), (IS_UNAPPLIED, 1), (not_(ProxyHost.is_enabled), 3), else_=2)
_ORDERS: dict[str, tuple[Any, ...]] = {
    "name": (_PRIMARY_NAME,),
    "upstream": (ProxyHost.forward_host, ProxyHost.forward_port),
    "status": (_SEVERITY, _PRIMARY_NAME),
    "agent": (Agent.name, _PRIMARY_NAME),
    "changed": (ProxyHost.changed_at,),
}


def matches(query: str) -> ColumnElement[bool]:
    """Hosts with `query` in a name (written in unicode or punycode), in the upstream or in the notes."""
    words = query.strip().lower()
    names = or_(*(DomainName.name.contains(word, autoescape=True) for word in {words, to_punycode(words)}))
    upstream = ProxyHost.forward_host + ":" + cast(ProxyHost.forward_port, String)
    return or_(
        ProxyHost.id.in_(select(DomainName.proxy_host_id).where(names)),
        upstream.contains(words, autoescape=True),
        ProxyHost.notes.icontains(words, autoescape=True),
    )


def order(sort: str, *, descending: bool) -> list[Any]:
    """What to order by; unknown sorts give the last changed first. The id makes it one order for all pages."""
    columns = (*_ORDERS.get(sort, _ORDERS["changed"]), ProxyHost.id)
    is_descending = descending or sort not in _ORDERS
    return [column.desc() if is_descending else column.asc() for column in columns]


def to_punycode(text: str) -> str:
    """The text as names are stored, as far as it can be one. For all who search by a part of a name."""
    try:
        return text if text.isascii() else idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError:
        return text
