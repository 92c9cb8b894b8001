"""The names of objects by their numbers, for lists that mention many: one query for each kind.
May import: panel.models, panel.extensions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from panel.extensions import db
from panel.models import AcmeAuthority, Agent, Certificate, DnsCredential, ProxyHost, User

Names = Mapping[tuple[str, str], str]  # by kind and number

_COLUMNS: dict[str, tuple[Any, Any]] = {
    "agent": (Agent.id, Agent.name),
    "certificate": (Certificate.id, Certificate.name),
    "acme_authority": (AcmeAuthority.id, AcmeAuthority.name),
    "dns_credential": (DnsCredential.id, DnsCredential.name),
    "proxy_host": (ProxyHost.id, ProxyHost.domain_names[0].as_string()),
    "user": (User.id, User.username),
}


def find(wanted: Iterable[tuple[str, str]]) -> Names:
    """The names of those that exist; kinds that nobody gave a name to are left out."""
    numbers: dict[str, set[Any]] = defaultdict(set)
    for noun, number in wanted:
        if noun == "agent" or (noun in _COLUMNS and number.isascii() and number.isdigit() and len(number) < 10):
            numbers[noun].add(number if noun == "agent" else int(number))
    found: dict[tuple[str, str], str] = {}
    for noun, ids in numbers.items():
        key, name = _COLUMNS[noun]
        rows = db.session.execute(select(key, name).where(key.in_(ids)))
        found |= {(noun, str(number)): text for number, text in rows}
    return found
