"""What the host form asks an agent while somebody types: where names lead to, and whether an upstream is reached.
May import: panel.services.{authorities,commands,proxy_hosts,upstreams}, panel.models and below."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from panel.errors import Conflict, Throttled
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import BACKGROUND_KINDS, Agent, Command, CommandKind, CommandState, User
from panel.models.types import utcnow
from panel.services import authorities, commands
from panel.services.proxy_hosts import require_editor
from panel.services.upstreams import Upstream

MOST_NAMES = 20  # of one question
PER_MINUTE = 30  # questions of one person: a form that is open and typed into asks about ten
JUST_NOW = timedelta(seconds=5)  # an answer so new is not asked for again
KEPT = timedelta(minutes=10)  # that an answer about names is shown
_READ_BACK = 40  # questions


def look_up(agent: Agent, names: Sequence[str], actor: User | None) -> Command:
    """Asks the agent where the first MOST_NAMES of the names lead to, as the world of its default authority sees it.

    The same question a moment later is the same one. Raises Forbidden, Conflict when the agent is away, Throttled.
    """
    default = authorities.default()
    is_test = default is not None and default.is_test
    payload = {
        "names": list(names[:MOST_NAMES]),
        "dns_server": default.dns_server if default is not None and is_test else "",
        "test": is_test,
    }
    return _ask(agent, CommandKind.CHECK_ADDRESSES, payload, actor)


def try_upstream(agent: Agent, upstream: Upstream, actor: User | None) -> Command:
    """Asks the agent whether nginx reaches an upstream that is only typed. One handshake, as after an apply.

    The same question a moment later is the same one. Raises Forbidden, Conflict when the agent is away, Throttled.
    """
    payload = {"scheme": upstream.scheme, "host": upstream.host, "port": upstream.port}
    return _ask(agent, CommandKind.CHECK_UPSTREAM, payload, actor)


def addresses_of(agent: Agent, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The newest finding about each name that was asked for within KEPT; names without one are left out."""
    found: dict[str, dict[str, Any]] = {}
    for command in _recent(agent, CommandKind.CHECK_ADDRESSES, utcnow() - KEPT):
        for finding in command.result.get("findings", []) if command.state == CommandState.SUCCEEDED else []:
            if finding["subject"] in names:
                found.setdefault(finding["subject"], finding)
    return found


def _ask(agent: Agent, kind: CommandKind, payload: dict[str, Any], actor: User | None) -> Command:
    require_editor(actor)
    if not agent.is_connected:
        raise Conflict(
            _(
                "%(name)s is not connected, and only it can look from there. The host can be saved anyway.",
                name=agent.name,
            )
        )
    now = utcnow()
    for known in _recent(agent, kind, now - JUST_NOW):
        if known.payload == payload and (known.is_open or known.has_succeeded):
            return known
    _throttle(actor, now)
    return commands.enqueue(agent, kind, payload=payload, actor=actor)


def _recent(agent: Agent, kind: CommandKind, since: datetime) -> Sequence[Command]:
    """The newest questions of one kind to the agent, newest first."""
    query = select(Command).where(Command.agent_id == agent.id, Command.kind == kind, Command.created_at >= since)
    return db.session.scalars(query.order_by(Command.created_at.desc(), Command.seq.desc()).limit(_READ_BACK)).all()


def _throttle(actor: User | None, now: datetime) -> None:
    """Nobody learns by such questions, one after the other, what listens in the agent's network."""
    if actor is None:
        return
    query = select(func.count(Command.id)).where(
        Command.created_by_id == actor.id,
        Command.kind.in_(BACKGROUND_KINDS),
        Command.created_at >= now - timedelta(minutes=1),
    )
    if (db.session.scalar(query) or 0) >= PER_MINUTE:
        raise Throttled(_("You asked for many checks within a minute. Wait a minute, then check again."), 60)
