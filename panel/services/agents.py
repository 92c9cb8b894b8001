"""Agents as people know them: add, let join, look at, revoke.
May import: panel.services.{enrollments,events,transitions}, panel.pki, panel.models, panel.config and below."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import load_only

from panel import pki
from panel.config import Config
from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import db, vitals, wake_after_commit
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext, mark
from panel.models import OPEN_STATES, Agent, AgentStatus, Command, CommandState, User
from panel.models.types import utcnow
from panel.services import enrollments, events, transitions
from panel.services.transitions import CommandOutcome

NAME_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
NAME_RULE = lazy_gettext(
    "Use 1 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit."
)

# After a start of the panel its agents need this long to come back; until then they are not called offline.
START_GRACE = timedelta(seconds=90)

_DECISIVE = (
    Agent.revoked_at,
    Agent.joined_at,
    Agent.refused_because,
    Agent.last_seen_at,
    Agent.is_connected,
    Agent.is_synced,
)


def create(name: str, actor: User | None, config: Config) -> tuple[Agent, str]:
    """A new agent and its join token, which is shown once. Raises Forbidden, or Invalid at "name"."""
    _require_administrator(actor)
    name = parse_name(name)
    if db.session.scalar(select(Agent.id).where(Agent.name == name)) is not None:
        raise Invalid("name", _("There is already an agent with the name %(name)s. Choose another name.", name=name))
    agent = Agent(id=str(uuid4()), name=name, created_at=utcnow())
    db.session.add(agent)
    db.session.flush()
    events.record(actor, "agent", "create", agent.id, agent.name, after={"name": name})
    wake_after_commit("agents")
    return agent, enrollments.issue_token(agent, _ca_fingerprint(config))


def new_join_token(agent: Agent, actor: User | None, config: Config) -> str:
    """Another join token, for an agent that never came, lost its identity or was revoked; older ones end.

    Raises Forbidden. A live agent keeps its identity until somebody joins with the token.
    """
    _require_administrator(actor)
    events.record(actor, "agent", "join-token", agent.id, agent.name, after={"join_token": events.SET})
    return enrollments.issue_token(agent, _ca_fingerprint(config))


def join_token_expiry(agent: Agent, now: datetime) -> datetime | None:
    """Until when the agent's join token may be used; None when there is no usable one."""
    return enrollments.open_token_expiry(agent, now)


def revoke(agent: Agent, actor: User | None) -> None:
    """Shuts the agent out at once: certificates, tokens, the live stream. What was under way has an unknown outcome.

    Raises Forbidden, or Conflict when it is revoked already, so nothing was changed.
    """
    _require_administrator(actor)
    if agent.is_revoked:
        raise Conflict(_("The agent %(name)s is revoked already, so nothing was changed.", name=agent.name))
    now = utcnow()
    agent.revoked_at = now
    agent.is_connected = agent.is_synced = False
    enrollments.revoke(agent, now)
    _end_commands(agent, now)
    before, after = {"is_revoked": False}, {"is_revoked": True}
    events.record(actor, "agent", "revoke", agent.id, agent.name, before=before, after=after)
    for topic in ("agents", "hosts", f"agent:{agent.id}"):
        wake_after_commit(topic)


def get(agent_id: str) -> Agent:
    """The agent with this id. Raises NotFound."""
    agent = db.session.get(Agent, agent_id)
    if agent is None:
        raise NotFound(_("There is no such agent. The list of agents shows those that exist."))
    return agent


def find_by_name(name: str) -> Agent:
    """The agent with this name. Raises NotFound."""
    agent = db.session.scalar(select(Agent).where(Agent.name == name))
    if agent is None:
        raise NotFound(_("There is no agent with the name %(name)s. Look at the spelling.", name=name))
    return agent


def list_all() -> Sequence[Agent]:
    """Every agent, revoked ones too, by name."""
    return db.session.scalars(select(Agent).order_by(Agent.name)).all()


def list_joined() -> list[Agent]:
    """Those that have told something of their machines and still may, by name."""
    return [agent for agent in list_all() if agent.has_joined and not agent.is_revoked]


def status(agent: Agent, now: datetime, config: Config) -> AgentStatus:
    """What people see; the only place that decides it. A short silence is "stale", not at once "offline"."""
    if agent.is_revoked:
        return AgentStatus.REVOKED
    if not agent.has_joined:
        return AgentStatus.WAITING
    if agent.refused_because:
        return AgentStatus.REFUSED
    silence = (now - agent.last_seen_at).total_seconds() if agent.last_seen_at else float("inf")
    if agent.is_connected and silence <= config.stale_after:
        return AgentStatus.ONLINE if agent.is_synced else AgentStatus.SYNCING
    # A last sign of life in the future says that the clock was put back, and nothing of the agent.
    if 0 <= silence <= config.offline_after or _is_awaited(agent, now):
        return AgentStatus.STALE
    return AgentStatus.OFFLINE


def statuses(now: datetime, config: Config) -> dict[str, AgentStatus]:
    """The status of every agent by id, read from the few columns that decide it: this is asked each second."""
    rows = db.session.scalars(select(Agent).options(load_only(*_DECISIVE, raiseload=True))).all()
    return {agent.id: status(agent, now, config) for agent in rows}


def parse_name(text: str) -> str:
    """The name as it is stored. Raises Invalid at "name"."""
    name = text.strip().lower()
    if not NAME_PATTERN.fullmatch(name):
        raise Invalid("name", NAME_RULE)
    return name


def ensure_bundled(config: Config) -> Path | None:
    """Makes the agent that this machine brings along and writes its join token to a file (0600), until it has joined.

    Returns the file while there is something to join with.
    """
    path = config.bundled_token_file
    if not config.bundled_agent:
        return None
    agent = db.session.scalar(select(Agent).where(Agent.name == parse_name(config.bundled_agent)))
    if agent is not None and (agent.has_joined or agent.is_revoked):
        path.unlink(missing_ok=True)
        return None
    if agent is None:
        _, token = create(config.bundled_agent, None, config)
    else:
        token = new_join_token(agent, None, config)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(token + "\n")
    return path


def _is_awaited(agent: Agent, now: datetime) -> bool:
    is_starting = vitals.started_at is not None and now - vitals.started_at <= START_GRACE
    return is_starting and agent.id in vitals.awaited_agents


def _end_commands(agent: Agent, now: datetime) -> None:
    sentence = mark("The agent was revoked while it worked on this. What it did is not known.")
    lost = CommandOutcome(CommandState.FAILED, "LOST", sentence, outcome_known=False)
    unsent = CommandOutcome(CommandState.CANCELLED, "CANCELLED", mark("The agent was revoked before this was sent."))
    under_way = select(Command).where(Command.agent_id == agent.id, Command.state.in_(OPEN_STATES))
    for command in db.session.scalars(under_way).all():
        transitions.finish(command, unsent if command.state == CommandState.QUEUED else lost, now)


def _ca_fingerprint(config: Config) -> str:
    return pki.fingerprint(pki.read_ca_pem(config.pki_dir))


def _require_administrator(actor: User | None) -> None:
    if actor is not None and not actor.may_administer:
        raise Forbidden(_("Only administrators add and revoke agents. Ask one of them."))
