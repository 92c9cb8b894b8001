"""What agents' streams tell of themselves: who is connected, under which epoch, with which nginx.
May import: panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from panel.extensions import db, wake_after_commit
from panel.models import OPEN_STATES, Agent, AgentCertificate, Command, CommandState


@dataclass(frozen=True)
class NginxFacts:
    """What an agent says of its nginx. `applied_revision` is what the revision endpoint answers."""

    version: str
    http_port: int
    https_port: int
    running: bool
    applied_revision: str
    modules: tuple[str, ...]
    problem: str
    ipv6: bool

    @classmethod
    def from_result(cls, facts: Mapping[str, Any]) -> NginxFacts:
        """From the plain values of a command's result."""
        return cls(**{**facts, "modules": tuple(facts["modules"])})


@dataclass(frozen=True)
class AgentFacts:
    """What Hello says. `protocol` is the version that was chosen, `dns_providers` as DnsProvider in the contract."""

    version: str
    protocol: int
    boot_id: str
    hostname: str
    os: str
    nginx: NginxFacts
    dns_providers: tuple[dict[str, Any], ...] = ()


def connected(agent_id: str, facts: AgentFacts, now: datetime) -> Agent:
    """Opens a session: the agent's epoch rises, and whoever held an older one has lost it."""
    db.session.execute(
        update(Agent).where(Agent.id == agent_id).values(session_epoch=Agent.session_epoch + 1),
        execution_options={"synchronize_session": False},
    )
    agent = db.session.get_one(Agent, agent_id, populate_existing=True)
    agent.is_connected, agent.is_synced = True, False
    agent.connected_at = agent.last_seen_at = now
    agent.version, agent.protocol, agent.boot_id = facts.version, facts.protocol, facts.boot_id
    agent.hostname, agent.os = facts.hostname, facts.os
    if agent.dns_providers != list(facts.dns_providers):
        agent.dns_providers = list(facts.dns_providers)
    agent.refused_because = ""
    update_facts(agent, facts.nginx)
    _announce(agent_id)
    return agent


def refused(agent_id: str, sentence: str) -> None:
    """The agent came and cannot be let in; its page says why until it is."""
    agent = db.session.get_one(Agent, agent_id)
    agent.refused_because = sentence
    _announce(agent_id)


def seen(agent_id: str, epoch: int, now: datetime, nginx: NginxFacts | None = None) -> bool:
    """Notes a sign of life of this session and its facts; False when a newer session has taken over."""
    agent = _current(agent_id, epoch)
    if agent is None:
        return False
    agent.last_seen_at = now
    if nginx is not None:
        update_facts(agent, nginx)
    db.session.flush()
    return True


def seen_many(signs: Sequence[tuple[str, int, datetime]]) -> None:
    """Notes signs of life of many sessions at once, as (agent id, epoch, time); those that were replaced are left."""
    is_own = (Agent.id == bindparam("agent"), Agent.session_epoch == bindparam("epoch"), Agent.is_connected)
    statement = update(Agent).where(*is_own).values(last_seen_at=bindparam("at"))
    values = [{"agent": agent_id, "epoch": epoch, "at": at} for agent_id, epoch, at in signs]
    db.session.connection().execute(statement, values)


@dataclass(frozen=True)
class Standing:
    """What decides whether a session may go on undisturbed, of all agents at once."""

    epochs: Mapping[str, int]
    serials: Set[str]
    awaited: Set[str]

    def is_calm(self, agent_id: str, epoch: int, serial: str) -> bool:
        """Whether this session is still its agent's own, its certificate good, and nothing is to be sent."""
        return self.epochs.get(agent_id) == epoch and serial in self.serials and agent_id not in self.awaited


def read_standing(now: datetime) -> Standing:
    """The epochs of connected agents, the certificates that are good, and the agents that have something to get."""
    epochs = select(Agent.id, Agent.session_epoch).where(Agent.is_connected, Agent.revoked_at.is_(None))
    good = (AgentCertificate.revoked_at.is_(None), AgentCertificate.not_after > now)
    has_news = or_(Command.state == CommandState.QUEUED, Command.cancel_requested_at.is_not(None))
    return Standing(
        {row.id: row.session_epoch for row in db.session.execute(epochs)},
        set(db.session.scalars(select(AgentCertificate.serial).where(*good))),
        set(db.session.scalars(select(Command.agent_id).where(Command.state.in_(OPEN_STATES), has_news))),
    )


def synced(agent_id: str, epoch: int) -> bool:
    """The session is resynchronised: the agent counts as online. False when a newer session has taken over."""
    agent = _current(agent_id, epoch)
    if agent is None:
        return False
    agent.is_synced = True
    _announce(agent_id)
    return True


def disconnected(agent_id: str, epoch: int) -> bool:
    """Ends this session, and only this: the end of an older one changes nothing."""
    agent = _current(agent_id, epoch)
    if agent is None:
        return False
    agent.is_connected = agent.is_synced = False
    _announce(agent_id)
    return True


def is_own(agent: Agent, epoch: int) -> bool:
    """Whether this session holds an agent that was read in this transaction."""
    return agent.session_epoch == epoch and agent.is_connected and not agent.is_revoked


def is_current(agent_id: str, epoch: int) -> bool:
    """Whether this session is still the agent's own."""
    is_own = select(Agent.id).where(
        Agent.id == agent_id, Agent.session_epoch == epoch, Agent.is_connected, Agent.revoked_at.is_(None)
    )
    return db.session.scalar(is_own) is not None


def reset() -> frozenset[str]:
    """At the panel's start: nobody is connected. Returns the ids of those that were when the last one ended."""
    ids = frozenset(db.session.scalars(select(Agent.id).where(Agent.is_connected)))
    db.session.execute(
        update(Agent).values(is_connected=False, is_synced=False), execution_options={"synchronize_session": False}
    )
    return ids


def update_facts(agent: Agent, nginx: NginxFacts) -> None:
    """Keeps what the agent says of its nginx, and wakes the pages when it differs from before."""
    values = {
        "nginx_version": nginx.version,
        "nginx_modules": list(nginx.modules),
        "nginx_running": nginx.running,
        "nginx_problem": nginx.problem,
        "http_port": nginx.http_port,
        "https_port": nginx.https_port,
        "has_ipv6": nginx.ipv6,
        "reported_revision": nginx.applied_revision,
    }
    changed = {name: value for name, value in values.items() if getattr(agent, name) != value}
    for name, value in changed.items():
        setattr(agent, name, value)
    if changed:
        wake_after_commit("agents")


def _current(agent_id: str, epoch: int) -> Agent | None:
    agent = db.session.get(Agent, agent_id, populate_existing=True)
    return agent if agent is not None and is_own(agent, epoch) else None


def _announce(agent_id: str) -> None:
    db.session.flush()
    wake_after_commit("agents")
    wake_after_commit(f"agent:{agent_id}")
