"""Agents: names, roles, what people see of them, revoking."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from panel import pki
from panel.config import Config
from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import Vitals, db, vitals
from panel.models import Agent, AgentStatus, CommandKind, CommandState, User
from panel.models.types import utcnow
from panel.services import agents, commands, transitions

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture(autouse=True)
def authority(config: Config) -> pki.Authority:
    return pki.open_authority(config.pki_dir, utcnow())


@pytest.fixture(autouse=True)
def fresh_vitals(monkeypatch: pytest.MonkeyPatch) -> Vitals:
    fresh = Vitals()
    monkeypatch.setattr(agents, "vitals", fresh)
    assert vitals is not fresh
    return fresh


def test_only_administrators_add_and_revoke(config: Config, agent: Agent, bob: User, alice: User) -> None:
    with pytest.raises(Forbidden):
        agents.create("edge", bob, config)
    with pytest.raises(Forbidden):
        agents.new_join_token(agent, bob, config)
    with pytest.raises(Forbidden):
        agents.revoke(agent, bob)
    made, token = agents.create("edge", alice, config)
    assert agents.get(made.id).name == "edge"
    assert token.startswith("wp1.")


@pytest.mark.parametrize("name", ["", "-edge", "edge-", "a b", "../x", "é", "a" * 64, "edge\n;", "{{ 7 }}"])
def test_a_name_that_is_no_host_label_is_refused_at_its_field(config: Config, alice: User, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        agents.create(name, alice, config)
    assert caught.value.field == "name"


def test_a_name_is_taken_once_whatever_its_case(config: Config, agent: Agent, alice: User) -> None:
    with pytest.raises(Invalid, match="already"):
        agents.create(agent.name.upper(), alice, config)


def test_an_unknown_agent_is_not_found() -> None:
    with pytest.raises(NotFound):
        agents.get("nobody")
    with pytest.raises(NotFound):
        agents.find_by_name("nobody")


@pytest.mark.parametrize(
    ("silence", "is_connected", "is_synced", "expected"),
    [
        (1, True, True, AgentStatus.ONLINE),
        (1, True, False, AgentStatus.SYNCING),
        (26, True, True, AgentStatus.STALE),
        (1, False, False, AgentStatus.STALE),
        (46, True, True, AgentStatus.OFFLINE),
        (46, False, False, AgentStatus.OFFLINE),
    ],
)
def test_status_follows_the_silence(
    config: Config, agent: Agent, silence: int, is_connected: bool, is_synced: bool, expected: AgentStatus
) -> None:
    now = utcnow()
    agent.last_seen_at = now - timedelta(seconds=silence)
    agent.is_connected, agent.is_synced = is_connected, is_synced
    assert agents.status(agent, now, config) == expected


def test_an_agent_that_never_came_is_waited_for(config: Config, alice: User) -> None:
    made, _ = agents.create("edge", alice, config)
    assert agents.status(made, utcnow(), config) == AgentStatus.WAITING
    expiry = agents.join_token_expiry(made, utcnow())
    assert expiry is not None
    assert timedelta(minutes=59) < expiry - utcnow() <= timedelta(hours=1)


def test_after_a_start_of_the_panel_agents_get_time_to_come_back(
    config: Config, agent: Agent, fresh_vitals: Vitals
) -> None:
    now = utcnow()
    agent.last_seen_at = now - timedelta(minutes=10)
    fresh_vitals.started_at, fresh_vitals.awaited_agents = now, frozenset({agent.id})
    assert agents.status(agent, now + timedelta(seconds=80), config) == AgentStatus.STALE
    assert agents.status(agent, now + timedelta(seconds=100), config) == AgentStatus.OFFLINE


def test_an_agent_that_the_panel_cannot_let_in_is_shown_so(config: Config, agent: Agent) -> None:
    agent.refused_because = "Two machines use this agent's identity."
    assert agents.status(agent, utcnow(), config) == AgentStatus.REFUSED


def test_revoking_ends_tokens_and_commands(config: Config, agent: Agent, alice: User) -> None:
    agents.new_join_token(agent, alice, config)
    under_way, queued = (commands.enqueue(agent, CommandKind.RELOAD) for _ in range(2))
    transitions.change(under_way.id, (CommandState.QUEUED,), state=CommandState.SENT)
    agents.revoke(agent, alice)
    assert (under_way.reason, under_way.outcome_known) == ("LOST", False)
    assert queued.state == CommandState.CANCELLED
    assert agents.join_token_expiry(agent, utcnow()) is None
    assert agents.status(agent, utcnow(), config) == AgentStatus.REVOKED
    with pytest.raises(Conflict):
        agents.revoke(agent, alice)


def test_the_bundled_agent_gets_a_token_file_until_it_has_joined(config: Config) -> None:
    bundled = replace(config, bundled_agent="local")
    assert agents.ensure_bundled(config) is None
    path = agents.ensure_bundled(bundled)
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600
    first = path.read_text()
    assert agents.ensure_bundled(bundled) == path
    assert path.read_text() != first
    agents.find_by_name("local").joined_at = utcnow()
    db.session.flush()
    assert agents.ensure_bundled(bundled) is None
    assert not path.exists()
