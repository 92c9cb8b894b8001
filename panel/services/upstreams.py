"""What hosts lead to, and whether nginx can reach it: as agents report it after each round, and when a person asks.
May import: panel.services.{commands,proxy_hosts}, panel.nginx, panel.models, panel.extensions, panel.errors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import URL, bindparam, select

from panel.errors import Conflict
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import OPEN_STATES, Agent, Command, CommandKind, ProxyHost, User
from panel.nginx.render import host_id_of
from panel.services import commands, proxy_hosts

_REPORTS_KEPT = 100  # of as many agents as pages show
MOST = 2500  # answers per agent: a report has at most 2,000


@dataclass(frozen=True)
class Upstream:
    """Where requests go, as a host has it."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True)
class Health:
    """How an upstream was when it was looked at from nginx's own networks. `cause` is a word of the contract, empty
    when all is well; `network`: joining nginx to it would mend it."""

    upstream: Upstream
    is_ok: bool
    cause: str
    sentence: str
    next_step: str
    container: str
    network: str
    checked_at: datetime | None
    milliseconds: int


# From the table and as plain values: of a thousand hosts, objects would take far longer.
_HOST = ProxyHost.__table__.c
_FORWARDS = (
    select(_HOST.id, _HOST.forward_scheme, _HOST.forward_host, _HOST.forward_port)
    .where(_HOST.agent_id == bindparam("agent_id"))
    .order_by(_HOST.id)
)

# The reports that were read lately, by database, agent and moment: a moment names a report for ever.
_understood: OrderedDict[tuple[URL, str, datetime | None], Mapping[Upstream, Health]] = OrderedDict()


def of_host(host: ProxyHost) -> Upstream:
    """What the host leads to."""
    return Upstream(host.forward_scheme, host.forward_host, host.forward_port)


def of_files(agent: Agent, paths: Iterable[str]) -> list[Upstream]:
    """What the agent's hosts of these files lead to, each once: the agent checks them from time to time."""
    ids = {host_id_of(path) for path in paths}
    # One statement for all: thousands of ids as parameters would take longer than the rows that are not wanted.
    rows = db.session.execute(_FORWARDS, {"agent_id": agent.id}).all()
    return [Upstream(*where) for where in dict.fromkeys(row[1:] for row in rows if row[0] in ids)]


def all_health(agent: Agent) -> Mapping[Upstream, Health]:
    """How each upstream of the agent was at its last look."""
    return health_of([agent])[agent.id]


def health_of(agents: Iterable[Agent]) -> dict[str, Mapping[Upstream, Health]]:
    """The last looks of several agents, by their ids. A report is large, so each is read and understood once."""
    keys = {agent.id: (db.engine.url, agent.id, agent.upstreams_at) for agent in agents}
    known = {agent_id: found for agent_id, key in keys.items() if (found := _understood.get(key)) is not None}
    missing = keys.keys() - known.keys()
    if missing:
        for agent_id, report in db.session.execute(select(Agent.id, Agent.upstreams).where(Agent.id.in_(missing))):
            known[agent_id] = {one.upstream: one for one in map(_health, report)}
            if keys[agent_id][-1] is not None:
                _understood[keys[agent_id]] = known[agent_id]
    while len(_understood) > _REPORTS_KEPT:
        _understood.popitem(last=False)
    return known


def health(host: ProxyHost) -> Health | None:
    """How the host's upstream was at the last look; None when the agent did not look at it yet."""
    return all_health(host.agent).get(of_host(host))


def check(host: ProxyHost, actor: User | None) -> Command:
    """Asks the agent to look now; the question that is open already, if there is one.

    Raises Forbidden, Conflict when the agent is away (nobody else can look from there) or the host was deleted.
    """
    proxy_hosts.require_editor(actor)
    if host.is_deleted:
        raise Conflict(_("This host was deleted. Bring it back before its upstream is checked."))
    if not host.agent.is_connected:
        raise Conflict(
            _(
                "%(name)s is not connected, and only it can look from there. Wait until it is back.",
                name=host.agent.name,
            )
        )
    open_one = find_check(host)
    if open_one is not None:
        return open_one
    payload = {"scheme": host.forward_scheme, "host": host.forward_host, "port": host.forward_port}
    command = commands.enqueue(host.agent, CommandKind.CHECK_UPSTREAM, payload=payload, actor=actor)
    wake_after_commit("hosts")
    return command


def find_check(host: ProxyHost) -> Command | None:
    """The open question about the host's upstream."""
    query = select(Command).where(
        Command.agent_id == host.agent_id,
        Command.kind == CommandKind.CHECK_UPSTREAM,
        Command.state.in_(OPEN_STATES),
    )
    return next((one for one in db.session.scalars(query) if _asked(one) == of_host(host)), None)


def note(agent: Agent, row: dict[str, Any], now: datetime) -> None:
    """Puts one answer among those of the last round; of what is only typed at most MOST stay until the next one."""
    upstream = _upstream(row)
    agent.upstreams = [*(one for one in agent.upstreams if _upstream(one) != upstream), row][-MOST:]
    agent.upstreams_at = now
    db.session.flush()


def _asked(command: Command) -> Upstream:
    return _upstream(command.payload)


def _upstream(row: Mapping[str, Any]) -> Upstream:
    return Upstream(row["scheme"], row["host"], row["port"])


def _health(row: Mapping[str, Any]) -> Health:
    return Health(
        upstream=_upstream(row),
        is_ok=row["ok"],
        cause=row["cause"],
        sentence=row["sentence"],
        next_step=row["next_step"],
        container=row["container"],
        network=row["network"],
        checked_at=None if row["checked_at"] is None else datetime.fromisoformat(row["checked_at"]),
        milliseconds=row["milliseconds"],
    )
