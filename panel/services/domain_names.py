"""Who holds which name: one host per name and agent, however two people race for it.
May import: panel.models, panel.extensions, panel.nginx.grammar, panel.errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from panel.errors import Invalid
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import DomainName, ProxyHost
from panel.nginx.grammar import display_name

AT_ONCE = 200  # names per query, below every database's limit of parameters


def claim(host: ProxyHost) -> None:
    """Gives the host's names to it, and what it no longer has back. Raises Invalid naming the other host.

    The host must have an id, and the transaction must have written something before: on SQLite a savepoint that
    comes first would commit on its own.
    """
    release(host)
    try:
        with db.session.begin_nested():
            db.session.add_all(
                DomainName(agent_id=host.agent_id, name=name, proxy_host_id=host.id) for name in host.domain_names
            )
    except IntegrityError:
        refuse_taken(host.agent_id, host.domain_names, but_not=host)
        raise


def release(host: ProxyHost) -> None:
    """Gives all names of the host back."""
    db.session.execute(delete(DomainName).where(DomainName.proxy_host_id == host.id))


def release_all(host_ids: Sequence[int]) -> None:
    """Gives all names of these hosts back."""
    for start in range(0, len(host_ids), AT_ONCE):
        ids = host_ids[start : start + AT_ONCE]
        db.session.execute(delete(DomainName).where(DomainName.proxy_host_id.in_(ids)))


def claim_all(hosts: Iterable[ProxyHost]) -> None:
    """Gives these hosts their names, which must be free: whoever calls it has looked, in the same transaction."""
    rows = [
        {"agent_id": host.agent_id, "name": name, "proxy_host_id": host.id}
        for host in hosts
        for name in host.domain_names
    ]
    if rows:
        db.session.execute(insert(DomainName), rows)


def refuse_taken(agent_id: str, names: Iterable[str], *, but_not: ProxyHost | None = None) -> None:
    """Raises Invalid("domain_names") when another host of the agent has one of the names; wildcards may overlap."""
    taken = find_taken(agent_id, names, but_not=but_not)
    if taken:
        name, host = taken
        raise Invalid("domain_names", taken_sentence(name, host))


def find_taken(
    agent_id: str, names: Iterable[str], *, but_not: ProxyHost | None = None
) -> tuple[str, ProxyHost] | None:
    """The first of the names that another host of the agent has, and that host."""
    wanted = list(names)
    owner = -1 if but_not is None else but_not.id
    for start in range(0, len(wanted), AT_ONCE):
        found = db.session.execute(
            select(DomainName.name, ProxyHost)
            .join(ProxyHost, ProxyHost.id == DomainName.proxy_host_id)
            .where(DomainName.agent_id == agent_id, DomainName.name.in_(wanted[start : start + AT_ONCE]))
            .where(DomainName.proxy_host_id != owner)
            .order_by(DomainName.name)
            .limit(1)
        ).first()
        if found is not None:
            return found[0], found[1]
    return None


def taken_sentence(name: str, host: ProxyHost) -> str:
    """Which name is taken and by which host, for the person who wants it too."""
    shown, holder = display_name(name), display_name(host.primary_name)
    whose = _("another host with that name") if shown == holder else _("the host %(holder)s", holder=holder)
    state = _(", which is disabled") if not host.is_enabled else ""
    return _(
        "%(shown)s already belongs to %(whose)s%(state)s on the agent %(agent)s.",
        shown=shown,
        whose=whose,
        state=state,
        agent=host.agent.name,
    )
