"""Reading commands as jobs: lists, stages with their times, what they refused, what followed them.
May import: panel.services.paging, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, or_, select
from sqlalchemy.orm import defer

from panel.extensions import db
from panel.models import BACKGROUND_KINDS, OPEN_STATES, Command, CommandKind, CommandOutput, CommandState, ProxyHost
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
    *,
    kind: CommandKind | None = None,
    result: JobResult | None = None,
    agent_id: str = "",
    certificate_id: int | None = None,
    page: int = 1,
    per_page: int = 50,
) -> Page[Command]:
    """Jobs, newest first; a filter that is None or empty selects nothing out. What pages ask for themselves is listed
    only when its kind is asked for."""
    statement = select(Command).order_by(Command.created_at.desc(), Command.seq.desc()).options(defer(Command.payload))
    is_wanted = Command.kind.not_in(BACKGROUND_KINDS) if kind is None else Command.kind == kind
    statement = statement.where(is_wanted)
    if result is not None:
        statement = statement.where(Command.state.in_(STATES_OF[result]))
    if agent_id:
        statement = statement.where(Command.agent_id == agent_id)
    if certificate_id is not None:
        statement = statement.where(Command.certificate_id == certificate_id)
    return paginate(statement, page, per_page)


def open_about(certificate_ids: Sequence[int]) -> dict[int, Command]:
    """The newest job under way of each of these certificates, by their ids."""
    query = select(Command).where(Command.certificate_id.in_(certificate_ids), Command.state.in_(OPEN_STATES))
    found = db.session.scalars(query.order_by(Command.seq)).unique()
    return {command.certificate_id: command for command in found if command.certificate_id is not None}


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


def last_line(command_id: str, stage: str) -> str:
    """The newest line of a stage that tells more than the stage's own beginning; "" when there is none."""
    query = select(CommandOutput.text).where(CommandOutput.command_id == command_id, CommandOutput.stage == stage)
    said = query.where(CommandOutput.level.not_in(("stage", "record")))
    return db.session.scalar(said.order_by(CommandOutput.seq.desc()).limit(1)) or ""


def texts(command_id: str, level: str, limit: int = 200) -> list[str]:
    """The lines of one level, oldest first, each text once."""
    query = select(CommandOutput.text).where(CommandOutput.command_id == command_id, CommandOutput.level == level)
    return list(dict.fromkeys(db.session.scalars(query.order_by(CommandOutput.seq).limit(limit))))


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
