"""What becomes of commands when a session begins anew, and when their time is over.
May import: panel.services.{agent_jobs,transitions}, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select

from panel.extensions import db
from panel.i18n import mark
from panel.models import OPEN_STATES, Agent, Command, CommandKind, CommandState
from panel.services import agent_jobs, transitions
from panel.services.agent_jobs import StartedCommand
from panel.services.transitions import IN_FLIGHT, REDELIVERY_WINDOW, CommandOutcome

# How long after its own limit a command may still report, while its agent is connected.
REPORT_GRACE = timedelta(seconds=60)


class JournalState(StrEnum):
    """How far a command is in the agent's journal."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True)
class OpenCommand:
    """A command in the agent's journal whose end the panel has not confirmed."""

    command_id: str
    state: JournalState
    started: StartedCommand | None = None  # only of what the agent began by itself


@dataclass(frozen=True)
class Stored:
    """What the panel has of a command: output up to `output_seq`, and its result if `is_final`."""

    command_id: str
    output_seq: int
    is_final: bool


@dataclass
class Recovery:
    """What a new session starts from: who ended now, what need not be replayed, what the agent may forget."""

    ended: list[Command] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)


def recover(
    agent: Agent, open_commands: Sequence[OpenCommand], now: datetime, *, last_seq: int | None = None
) -> Recovery:
    """Compares the agent's journal with the commands under way: what never arrived is queued again.

    Questions are never asked twice, and what the agent once held and no longer knows has an unknown outcome.
    `last_seq` is the highest command number in the journal: one that forgot commands cannot tell what never arrived.
    """
    recovery = Recovery()
    is_reliable = last_seq is None or last_seq >= _highest_acknowledged(agent)
    for entry in open_commands:
        _compare(agent, entry, recovery, now)
    listed = {entry.command_id for entry in open_commands}
    under_way = select(Command).where(Command.agent_id == agent.id, Command.state.in_(IN_FLIGHT))
    for command in db.session.scalars(under_way.order_by(Command.seq)).all():
        if command.id not in listed and _resolve_missing(command, now, is_reliable=is_reliable):
            recovery.ended.append(command)
    return recovery


def expire_due(now: datetime) -> list[Command]:
    """Ends what ran out of time and returns it: never sent, not answered, or lost with its agent."""
    ended = []
    for command in db.session.scalars(select(Command).where(Command.state.in_(OPEN_STATES))).all():
        outcome = _overdue(command, now)
        if outcome is not None and transitions.finish(command, outcome, now):
            ended.append(command)
    return ended


def _compare(agent: Agent, entry: OpenCommand, recovery: Recovery, now: datetime) -> None:
    command = db.session.get(Command, entry.command_id)
    if command is None and entry.started is not None:
        command = agent_jobs.adopt(agent, entry.started, now)
    if command is None or command.agent_id != agent.id:
        recovery.forget.append(entry.command_id)
        return
    is_final = not command.is_open and command.reason not in transitions.PRESUMED
    if not command.is_open and entry.state is JournalState.ACCEPTED:
        recovery.forget.append(command.id)  # given up here and not begun there: it must not begin
        return
    recovery.stored.append(Stored(command.id, command.last_output_seq, is_final))
    if command.state == CommandState.QUEUED:
        transitions.change(command.id, (CommandState.QUEUED,), state=CommandState.SENT, sent_at=now)
    transitions.acknowledge(command, now)
    if entry.state is JournalState.RUNNING:
        transitions.start(command, now)


def _resolve_missing(command: Command, now: datetime, *, is_reliable: bool) -> bool:
    """Handles a command that the agent does not list; True when that ended it."""
    if CommandKind(command.kind).is_question:
        outcome = _failure("LOST", mark("The connection broke before the answer came. Ask again."))
    elif command.acked_at is not None or command.state == CommandState.RUNNING or not is_reliable:
        outcome = _unknown(
            "LOST", mark("The agent no longer knows this job: its journal was lost. What it did is not known.")
        )
    elif command.cancel_requested_at is not None:
        outcome = CommandOutcome(CommandState.CANCELLED, "CANCELLED", mark("Cancelled before it reached the agent."))
    elif command.expires_at <= now or command.created_at + REDELIVERY_WINDOW <= now:
        outcome = _expiry()
    else:
        transitions.change(command.id, (CommandState.SENT,), state=CommandState.QUEUED, sent_epoch=None)
        return False
    return transitions.finish(command, outcome, now)


def _highest_acknowledged(agent: Agent) -> int:
    """Of what was sent; what an agent began by itself has a number that it never heard of."""
    acknowledged = select(func.max(Command.seq)).where(
        Command.agent_id == agent.id, Command.acked_at.is_not(None), Command.delivery_count > 0
    )
    return db.session.scalar(acknowledged) or 0


def _overdue(command: Command, now: datetime) -> CommandOutcome | None:
    if command.state == CommandState.QUEUED:
        return _expiry() if command.expires_at <= now else None
    # What an agent began while the panel was away has just been heard of, though it began long ago.
    begun_at = max(filter(None, (command.started_at, command.acked_at, command.sent_at)), default=command.created_at)
    limit = timedelta(seconds=command.run_timeout)
    if CommandKind(command.kind).is_question:
        sentence = (
            f"The agent did not answer within {command.run_timeout:.0f} s. See whether it is online, and ask again."
        )
        return _failure("TIMEOUT", sentence) if begun_at + limit <= now else None
    if command.agent.is_connected:
        sentence = mark("The agent is connected but did not report the end of this job. What it did is not known.")
        return _unknown("TIMEOUT", sentence) if begun_at + limit + REPORT_GRACE <= now else None
    sentence = mark("The agent was away for more than 24 hours after it was sent this job. What it did is not known.")
    last_sign = max(begun_at, command.agent.last_seen_at or begun_at)
    return _unknown("LOST", sentence) if last_sign + REDELIVERY_WINDOW <= now else None


def _expiry() -> CommandOutcome:
    sentence = mark("The agent did not connect in time, so this was never sent. Nothing was changed.")
    return CommandOutcome(CommandState.EXPIRED, "EXPIRED", sentence)


def _failure(reason: str, sentence: str) -> CommandOutcome:
    return CommandOutcome(CommandState.FAILED, reason, sentence)


def _unknown(reason: str, sentence: str) -> CommandOutcome:
    return CommandOutcome(CommandState.FAILED, reason, sentence, outcome_known=False)
