"""How long things are kept: output for 30 days, 50 revisions per agent, contents as long as something names them.
May import: panel.models, panel.extensions."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from panel.extensions import db
from panel.models import OPEN_STATES, Agent, Command, CommandOutput, ConfigContent, ProxyHost, Revision

OUTPUT_KEPT = timedelta(days=30)
REVISIONS_KEPT = 50  # per agent, the live one not counted
CONTENT_BATCH = 500


def prune(now: datetime) -> None:
    """Deletes what is older than it is kept; nothing that is live or that an open command needs."""
    _prune_output(now - OUTPUT_KEPT)
    for agent in db.session.scalars(select(Agent)).all():
        _prune_revisions(agent)
    _prune_contents()


def _prune_output(before: datetime) -> None:
    old = select(Command.id).where(Command.finished_at < before, Command.state.not_in(OPEN_STATES))
    _execute(delete(CommandOutput).where(CommandOutput.command_id.in_(old)))


def _prune_revisions(agent: Agent) -> None:
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
    """Contents that no revision, no live host and no open command names."""
    named = {sha256 for manifest in db.session.scalars(select(Revision.manifest)) for sha256 in manifest.values()}
    named.update(db.session.scalars(select(ProxyHost.live_sha256)))
    for payload in db.session.scalars(select(Command.payload).where(Command.state.in_(OPEN_STATES))):
        named.update(payload.get("manifest", {}).values())
    orphans = sorted(set(db.session.scalars(select(ConfigContent.sha256))) - named)
    for start in range(0, len(orphans), CONTENT_BATCH):
        _execute(delete(ConfigContent).where(ConfigContent.sha256.in_(orphans[start : start + CONTENT_BATCH])))


def _execute(statement: object) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]
