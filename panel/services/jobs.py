"""Reading commands as jobs: lists, stages with their times, what they refused, what followed them.
May import: panel.services.paging, panel.models, panel.extensions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, or_, select
from sqlalchemy.orm import defer

from panel.extensions import db
from panel.models import OPEN_STATES, Command, CommandKind, CommandOutput, CommandState, ProxyHost
from panel.services.paging import Page, paginate


class JobResult(StrEnum):
    """How people sort jobs."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


STATES_OF: dict[JobResult, tuple[CommandState, ...]] = {
    JobResult.OPEN: OPEN_STATES,
    JobResult.SUCCEEDED: (CommandState.SUCCEEDED,),
    JobResult.FAILED: (CommandState.FAILED, CommandState.EXPIRED),
    JobResult.CANCELLED: (CommandState.CANCELLED,),
}


@dataclass(frozen=True)
class StageMark:
    """One stage that was reached: its first and last line's times, by the agent's clock."""

    stage: str
    began: datetime
    last_line: datetime


def list_page(
    *, kind: CommandKind | None, result: JobResult | None, agent_id: str = "", page: int = 1, per_page: int = 50
) -> Page[Command]:
    """Jobs, newest first; a filter that is None or empty selects nothing out."""
    statement = select(Command).order_by(Command.created_at.desc(), Command.seq.desc()).options(defer(Command.payload))
    if kind is not None:
        statement = statement.where(Command.kind == kind)
    if result is not None:
        statement = statement.where(Command.state.in_(STATES_OF[result]))
    if agent_id:
        statement = statement.where(Command.agent_id == agent_id)
    return paginate(statement, page, per_page)


def stage_marks(command_id: str) -> list[StageMark]:
    """The stages in the order they were reached."""
    query = (
        select(CommandOutput.stage, func.min(CommandOutput.at), func.max(CommandOutput.at))
        .where(CommandOutput.command_id == command_id, CommandOutput.stage != "")
        .group_by(CommandOutput.stage)
        .order_by(func.min(CommandOutput.seq))
    )
    return [StageMark(*row) for row in db.session.execute(query)]


def last_stage_text(command_id: str, level: str) -> str:
    """The newest line of this level; "" when there is none."""
    query = select(CommandOutput.text).where(CommandOutput.command_id == command_id, CommandOutput.level == level)
    return db.session.scalar(query.order_by(CommandOutput.seq.desc()).limit(1)) or ""


def tail(command_id: str, limit: int) -> list[CommandOutput]:
    """The newest `limit` lines, oldest first."""
    query = select(CommandOutput).where(CommandOutput.command_id == command_id)
    return list(db.session.scalars(query.order_by(CommandOutput.seq.desc()).limit(limit)))[::-1]


def refused_hosts(command_id: str) -> list[ProxyHost]:
    """The hosts that this job set aside and that have not been saved since."""
    query = select(ProxyHost).where(ProxyHost.refused_command_id == command_id, ProxyHost.deleted_at.is_(None))
    return [host for host in db.session.scalars(query.order_by(ProxyHost.id)) if host.is_refused]


def follow_up(command: Command) -> Command | None:
    """The job that carried on from this one: a retry, or after an apply that failed the next apply. None so far."""
    is_next = Command.retry_of_id == command.id
    if command.kind == CommandKind.APPLY_CONFIG and not command.has_succeeded:
        is_next = or_(is_next, Command.kind == CommandKind.APPLY_CONFIG)
    query = select(Command).where(Command.agent_id == command.agent_id, Command.seq > command.seq, is_next)
    return db.session.scalar(query.order_by(Command.seq).limit(1))
