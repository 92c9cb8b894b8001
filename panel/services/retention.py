"""How long things are kept: output for 30 days, the audit log for a year, 50 revisions per agent, contents while named.
May import: panel.services.{browser_sessions,invitations,notifications}, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import delete, select

from panel.extensions import db
from panel.models import OPEN_STATES, Agent, Command, CommandOutput, ConfigContent, Event, ProxyHost, Revision
from panel.services import browser_sessions, invitations, notifications

OUTPUT_KEPT = timedelta(days=30)
EVENTS_KEPT = timedelta(days=365)
EVENTS_AT_ONCE = 500  # that are deleted in one step
REVISIONS_KEPT = 50  # per agent, the live one not counted
CONTENT_BATCH = 500
COMMANDS_AT_ONCE = 20  # whose output is deleted in one step


def steps(now: datetime) -> Iterator[Callable[[], object]]:
    """What must be deleted because it is older than it is kept, in steps that are short: one transaction each.

    Nothing that is live or that an open command needs. Call each step before asking for the next one.
    """
    yield from _output_steps(now - OUTPUT_KEPT)
    yield from _event_steps(now - EVENTS_KEPT)
    for agent_id in db.session.scalars(select(Agent.id)).all():
        yield partial(_prune_revisions, agent_id)
    yield _prune_contents
    yield partial(notifications.prune, now)
    yield partial(browser_sessions.prune, now)
    yield partial(invitations.prune, now)


def _output_steps(before: datetime) -> Iterator[Callable[[], object]]:
    has_output = select(CommandOutput.seq).where(CommandOutput.command_id == Command.id).exists()
    for agent_id in db.session.scalars(select(Agent.id)).all():
        old = select(Command.id).where(Command.agent_id == agent_id, Command.finished_at < before, has_output)
        while command_ids := db.session.scalars(old.limit(COMMANDS_AT_ONCE)).all():
            yield partial(_execute, delete(CommandOutput).where(CommandOutput.command_id.in_(command_ids)))


def _event_steps(before: datetime) -> Iterator[Callable[[], object]]:
    old = select(Event.id).where(Event.at < before).order_by(Event.id).limit(EVENTS_AT_ONCE)
    while event_ids := db.session.scalars(old).all():
        yield partial(_execute, delete(Event).where(Event.id.in_(event_ids)))


def _prune_revisions(agent_id: str) -> None:
    agent = db.session.get_one(Agent, agent_id)
    protected = {agent.applied_revision, agent.reported_revision}
    open_payloads = select(Command.payload).where(Command.agent_id == agent.id, Command.state.in_(OPEN_STATES))
    protected.update(payload.get("revision", "") for payload in db.session.scalars(open_payloads))
    newest = select(Revision.id).where(Revision.agent_id == agent.id).order_by(Revision.id.desc())
    kept = list(db.session.scalars(newest.limit(REVISIONS_KEPT)))
    _execute(
        delete(Revision).where(
            Revision.agent_id == agent.id, Revision.id.not_in(kept), Revision.revision.not_in(protected)
        )
    )


def _prune_contents() -> None:
    """Contents that no revision and no live host names; what an open command brings is a revision that is kept."""
    named = {sha256 for manifest in db.session.scalars(select(Revision.manifest)) for sha256 in manifest.values()}
    named.update(db.session.scalars(select(ProxyHost.live_sha256)))
    orphans = sorted(set(db.session.scalars(select(ConfigContent.sha256))) - named)
    for start in range(0, len(orphans), CONTENT_BATCH):
        _execute(delete(ConfigContent).where(ConfigContent.sha256.in_(orphans[start : start + CONTENT_BATCH])))


def _execute(statement: object) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]
