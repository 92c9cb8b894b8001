"""Drift: files on an agent's machine that somebody changed by hand. Reported, kept, and put back when that is wanted.
May import: panel.services.{bundles,commands,deployments,events,proxy_hosts}, panel.nginx, panel.models and below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import unified_diff
from itertools import islice
from typing import Any

from sqlalchemy import select

from panel.errors import Conflict
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Agent, Command, CommandKind, Event, User
from panel.models.types import utcnow
from panel.nginx.render import host_id_of
from panel.services import bundles, commands, events, proxy_hosts

MAX_LINES = 400  # of one file's difference
# A file that is changed again so soon is written by another program: then a person decides, and nothing goes round.
HEAL_PAUSE = timedelta(minutes=5)


@dataclass(frozen=True)
class Edit:
    """One file as an agent found it. `kind` is changed, missing or added; `sha256` names what was written, `original`
    is that text when only the agent has it; `is_loaded`: nginx serves the file as it is now."""

    path: str
    kind: str
    sha256: str
    text: str
    original: str
    is_truncated: bool
    is_loaded: bool


def report(agent: Agent, edits: Sequence[Edit], more: int, now: datetime) -> Command | None:
    """Keeps what an agent says of its files now. New edits are recorded as an event with their difference before
    anything else happens; then they are put back, if the agent is set to that. Returns that job."""
    found = [_described(agent, edit) for edit in edits]
    if more:
        found.append({"path": "", "kind": "more", "count": more, "diff": []})
    before, agent.drift = agent.drift, found
    if _unloaded(before) != _unloaded(found):
        agent.drift_at = now if found else None
        paths = [entry["path"] for entry in before]
        verb = "drift" if found else "drift-end"
        events.record(None, "agent", verb, agent.id, agent.name, before={"files": paths}, after={"files": found})
        wake_after_commit("agents")
        if found and agent.heals_drift and not _healed_lately(agent, now):
            agent.drift_healed_at = now
            return put_back(agent, None)
    elif before != found:
        wake_after_commit("agents")
    db.session.flush()
    return None


def put_back(agent: Agent, actor: User | None) -> Command:
    """Applies exactly what was live, so that every file is as it was written; what is merely saved stays saved.

    An apply that is under way does the same. Raises Forbidden, Conflict when nothing was ever applied.
    """
    proxy_hosts.require_editor(actor)
    under_way = commands.find_open(agent.id, CommandKind.APPLY_CONFIG)
    if under_way is not None:
        return under_way
    manifest = bundles.manifest_of(agent, agent.applied_revision)
    if manifest is None:
        raise Conflict(
            _("Nothing was applied on %(name)s yet, so there is nothing to put back. Apply first.", name=agent.name)
        )
    payload = {"exact": True, "revision": agent.applied_revision, "files": len(manifest)}
    command = commands.enqueue(agent, CommandKind.APPLY_CONFIG, payload=payload, actor=actor)
    events.record(actor, "agent", "put-back", agent.id, agent.name, command_id=command.id)
    return command


def set_healing(agent: Agent, is_on: bool, actor: User | None) -> None:
    """Whether files that were changed by hand are put back at once. Raises Forbidden."""
    proxy_hosts.require_editor(actor)
    if agent.heals_drift == is_on:
        return
    agent.heals_drift = is_on
    events.record(actor, "agent", "heal", agent.id, agent.name, before={"heals": not is_on}, after={"heals": is_on})
    wake_after_commit("agents")
    if is_on and agent.drift:
        agent.drift_healed_at = utcnow()
        put_back(agent, actor)


def earlier(agent: Agent, limit: int = 3) -> list[Event]:
    """The last hand edits that were recorded, newest first; the first of them may be the one that lasts."""
    query = select(Event).where(Event.noun == "agent", Event.verb == "agent:drift", Event.object_id == agent.id)
    return list(db.session.scalars(query.order_by(Event.id.desc()).limit(limit)))


def _described(agent: Agent, edit: Edit) -> dict[str, Any]:
    manifest = bundles.manifest_of(agent, agent.applied_revision) or {}
    original = edit.original
    if manifest.get(edit.path) == edit.sha256:
        original = bundles.content(edit.sha256) or ""
    lines = unified_diff(original.splitlines(), edit.text.splitlines(), n=3, lineterm="")
    diff = [[line[0], line[1:]] for line in islice(lines, 2, MAX_LINES + 2)]
    return {
        "path": edit.path,
        "kind": edit.kind,
        "is_loaded": edit.is_loaded,
        "is_cut": edit.is_truncated or len(diff) >= MAX_LINES,
        "host_id": host_id_of(edit.path),
        "diff": diff,
    }


def _unloaded(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a person did; that nginx has loaded it meanwhile is no new edit."""
    return [{**entry, "is_loaded": None} for entry in entries]


def _healed_lately(agent: Agent, now: datetime) -> bool:
    return agent.drift_healed_at is not None and now - agent.drift_healed_at < HEAL_PAUSE
