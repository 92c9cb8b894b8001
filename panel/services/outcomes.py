"""What the end of a command means for agents, hosts, revisions and certificates.
May import: panel.services, panel.models, panel.extensions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from panel.extensions import db
from panel.models import Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.services import certificate_outcomes, deployments, docker_reports, sessions, transitions
from panel.services.transitions import CommandOutcome


def record(command: Command, outcome: CommandOutcome, now: datetime) -> bool:
    """Ends the command and draws the consequences; False, and nothing done, when it had ended before."""
    if not transitions.finish(command, outcome, now):
        return False
    settle(command)
    return True


def settle(command: Command) -> None:
    """Draws the consequences of a command that has just ended, from its state and result."""
    kind = CommandKind(command.kind)
    if kind is CommandKind.APPLY_CONFIG:
        if not _is_superseded(command):
            _settle_apply(command)
    elif command.has_succeeded and kind is CommandKind.CHECK_NGINX:
        sessions.update_facts(command.agent, sessions.NginxFacts.from_result(command.result["nginx"]))
    elif command.has_succeeded and kind is CommandKind.RELOAD:
        command.agent.reported_revision = command.result["revision"]
    elif kind.is_about_certificate or kind is CommandKind.CHECK_DNS_CREDENTIAL:
        certificate_outcomes.settle(command)
    elif kind.is_about_docker:
        docker_reports.settle(command, command.finished_at or utcnow())


def _settle_apply(command: Command) -> None:
    revision = command.result.get("revision", "")
    if revision:
        command.agent.reported_revision = revision
    if command.has_succeeded:
        deployments.applied(command, revision)
    elif command.result.get("file_errors") and not command.result.get("degraded"):
        deployments.refused(command, command.result["file_errors"])
    elif command.state != CommandState.CANCELLED:
        deployments.failed(command, command.error)


def _is_superseded(command: Command) -> bool:
    """Whether a later apply was proved meanwhile: a late report of an older one says nothing about now."""
    later = select(Command.id).where(
        Command.agent_id == command.agent_id,
        Command.kind == CommandKind.APPLY_CONFIG,
        Command.seq > command.seq,
        Command.state == CommandState.SUCCEEDED,
    )
    return db.session.scalar(later.limit(1)) is not None
