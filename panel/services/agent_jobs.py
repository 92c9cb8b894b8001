"""Commands that an agent began by itself: a renewal that was due needs no panel, but gets its job here.
May import: panel.services.{certificate_*,commands,lineage_names,transitions}, panel.models, panel.extensions."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from panel.extensions import db
from panel.models import OPEN_STATES, Agent, Command, CommandKind, CommandState
from panel.services import certificate_jobs, certificate_queries, commands, lineage_names, transitions

log = logging.getLogger(__name__)

MAX_OPEN = 1000  # jobs of one agent that it began by itself


@dataclass(frozen=True)
class StartedCommand:
    """What an agent says of a job that it began: a renewal of the certificate in the folder `name`."""

    command_id: str
    name: str
    started_at: datetime


def adopt(agent: Agent, started: StartedCommand, now: datetime) -> Command | None:
    """The row of a job that the agent began; the one that is there already when it says so again.

    None for what no agent may begin: a foreign id, a name that is no certificate's, too many at once.
    """
    known = db.session.get(Command, started.command_id)
    if known is not None:
        return known if known.agent_id == agent.id else None
    if not _is_uuid(started.command_id) or not lineage_names.is_valid(started.name) or _count_open(agent) >= MAX_OPEN:
        log.warning("agent %s began a job that is not taken: %r", agent.name, started)
        return None
    command = _begun(agent, started, now)
    db.session.add(command)
    db.session.flush()
    transitions.announce(command)
    return command


def _begun(agent: Agent, started: StartedCommand, now: datetime) -> Command:
    """The row of a renewal that is under way already."""
    certificate = certificate_queries.find_by_name(agent.id, started.name)
    began_at = min(started.started_at, now)
    return Command(
        id=started.command_id,
        agent_id=agent.id,
        seq=commands.next_seq(agent),
        kind=CommandKind.RENEW_CERTIFICATE,
        resource=certificate_jobs.resource_of(started.name),
        payload={"certificate_id": certificate.id if certificate else None, "name": started.name},
        state=CommandState.RUNNING,
        certificate_id=certificate.id if certificate else None,
        created_at=began_at,
        expires_at=began_at + transitions.REDELIVERY_WINDOW,
        run_timeout=certificate_jobs.DNS_TIMEOUT,  # agents allow themselves as much, however names are checked
        acked_at=now,
        started_at=began_at,
    )


def _count_open(agent: Agent) -> int:
    query = select(func.count(Command.id)).where(
        Command.agent_id == agent.id, Command.state.in_(OPEN_STATES), Command.delivery_count == 0
    )
    return db.session.scalar(query.where(Command.acked_at.is_not(None))) or 0


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
