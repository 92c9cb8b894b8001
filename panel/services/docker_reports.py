"""What agents report of Docker and of upstreams: stored, told as history, and followed by hosts where that is wanted.
May import: panel.services.{docker_facts,events,label_hosts,upstreams}, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from panel.extensions import db, wake_after_commit
from panel.models import Agent, Command, CommandKind
from panel.services import events, label_hosts, upstreams

# What a page shows of Docker beside networks: the upstreams of hosts and the agent's own card.
_TOPICS = ("networks", "containers", "agents", "hosts")


def observe(agent: Agent, report: dict[str, Any], now: datetime) -> None:
    """Stores all that an agent says of its Engine. Containers with labels become hosts if the agent trusts them;
    one that is gone never takes its host along."""
    before, agent.docker, agent.docker_at = agent.docker, report, now
    db.session.flush()
    _record_changes(agent, before, report)
    for topic in _TOPICS:
        wake_after_commit(topic)
    if agent.trusts_labels:
        label_hosts.adopt(agent)


def observe_upstreams(agent: Agent, states: Sequence[dict[str, Any]], now: datetime) -> None:
    """Stores all that an agent says of what its hosts lead to."""
    agent.upstreams, agent.upstreams_at = list(states), now
    db.session.flush()
    wake_after_commit("hosts")


def settle(command: Command, now: datetime) -> None:
    """Draws the consequences of a command about Docker that has just ended: its answer is newer than the report."""
    for topic in _TOPICS:
        wake_after_commit(topic)
    if not command.has_succeeded:
        return
    agent, kind, result = command.agent, CommandKind(command.kind), command.result
    if kind is CommandKind.CHECK_UPSTREAM:
        if result["state"] is not None:
            upstreams.note(agent, {**command.payload, **_answer(result["state"])}, now)
    elif kind in {CommandKind.LIST_NETWORKS, CommandKind.LIST_CONTAINERS}:
        _replace(agent, result)
    elif kind in {CommandKind.ATTACH_NETWORK, CommandKind.DETACH_NETWORK}:
        _replace(agent, {"networks": _with(agent, command.payload["network"], result["network"])})


def _answer(state: dict[str, Any]) -> dict[str, Any]:
    """An answer is about what was asked, whatever it says that it is about."""
    return {name: value for name, value in state.items() if name not in {"scheme", "host", "port"}}


def _replace(agent: Agent, parts: dict[str, Any]) -> None:
    if agent.docker:
        agent.docker = {**agent.docker, **parts}
        db.session.flush()


def _with(agent: Agent, name: str, network: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The networks of the agent, with one as it is now; None: it is gone."""
    others = [one for one in agent.docker.get("networks", []) if one["name"] != name]
    return others if network is None or network["name"] != name else [*others, network]


def _record_changes(agent: Agent, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Whether the Engine can be reached, and networks that nginx lost or got back, are history."""
    was, now = bool(before.get("present")), bool(after["present"])
    if was != now and (before or now):
        verb = "docker-found" if now else "docker-lost"
        events.record(None, "agent", verb, agent.id, agent.name, after={"problem": after["problem"]})
    if not (was and now):
        return
    lost = sorted(_names(after, wanted=True, attached=False) - _names(before, wanted=True, attached=False))
    back = sorted(_names(before, wanted=True, attached=False) & _names(after, wanted=True, attached=True))
    for verb, names in (("network-lost", lost), ("network-back", back)):
        if names:
            events.record(None, "agent", verb, agent.id, agent.name, after={"networks": names})


def _names(report: dict[str, Any], *, wanted: bool, attached: bool) -> set[str]:
    """The networks in which nginx is to be (or not) and is (or not)."""
    return {one["name"] for one in report["networks"] if (one["wanted"], one["attached"]) == (wanted, attached)}
