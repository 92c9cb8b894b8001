"""How commands move: sent, acknowledged, running, ended. Every change of a state is a compare-and-set.
May import: panel.services.measures, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, not_, or_, select, update
from sqlalchemy.orm import aliased, lazyload

from panel.extensions import db, wake_after_commit
from panel.models import OPEN_STATES, Agent, Command, CommandKind, CommandOutput, CommandState, UploadedKey
from panel.services import measures

MAX_OUTPUT_LINES = 10_000
MAX_OUTPUT_SIZE = 4 << 20  # characters of one command
CUT = "Output was cut here: it is too long to keep."
# A command that was made so far in the future was made before somebody put the clock back.
CLOCK_PUT_BACK = timedelta(seconds=10)
# Ends that the panel decided without the agent; the agent's own word may still replace them.
PRESUMED = ("LOST", "TIMEOUT")

# Whatever is older is not delivered again, and its result not expected. The agent remembers ids for 7 days, so that
# what is delivered again within this is surely recognised.
REDELIVERY_WINDOW = timedelta(hours=24)

IN_FLIGHT = (CommandState.SENT, CommandState.RUNNING)


@dataclass(frozen=True)
class OutputLine:
    """One line as the agent numbered it. `level`: stage, info, ok, warning, error, record."""

    seq: int
    at: datetime
    stage: str
    level: str
    text: str


@dataclass(frozen=True)
class Agenda:
    """How many commands wait to be sent, due or not, and the ids of those under way that are asked to stop."""

    queued: int
    cancelled: tuple[str, ...]


@dataclass(frozen=True)
class CommandOutcome:
    """How a command ended. `error` is the sentence people read; `result` holds plain JSON values."""

    state: CommandState
    reason: str = ""
    error: str = ""
    outcome_known: bool = True
    result: dict[str, Any] = field(default_factory=dict)


def claim_next(agent_id: str, epoch: int, now: datetime) -> Command | None:
    """Moves the agent's next due command from queued to sent for this session. None when nothing may be sent.

    One command per resource is under way; questions go beside it. An older session gets nothing.
    """
    command_id = db.session.scalar(_NEXT, {"agent_id": agent_id, "epoch": epoch, **_moments(now)})
    if command_id is None:
        return None
    sent = {"sent_epoch": epoch, "sent_at": now, "delivery_count": Command.delivery_count + 1}
    return _change(command_id, (CommandState.QUEUED,), {"state": CommandState.SENT, **sent})


def read_agenda(agent_id: str) -> Agenda:
    """What the agent's stream has to see to."""
    rows = db.session.execute(_OPEN, {"agent_id": agent_id}).all()
    queued = sum(state == CommandState.QUEUED for _, state, _ in rows)
    return Agenda(queued, tuple(one for one, state, at in rows if at is not None and state in IN_FLIGHT))


def next_due_at(agent_id: str, now: datetime) -> datetime | None:
    """When the next queued command that waits for its time may go; None when none waits."""
    return db.session.scalar(
        select(func.min(Command.not_before)).where(
            Command.agent_id == agent_id, Command.state == CommandState.QUEUED, not_(_IS_DUE)
        ),
        _moments(now),
    )


def acknowledge(command: Command, now: datetime) -> None:
    """The agent holds the command in its journal. Repeats change nothing."""
    if command.acked_at is None:
        change(command.id, OPEN_STATES, acked_at=now)


def start(command: Command, now: datetime) -> None:
    """The agent began to work on it. Repeats change nothing."""
    if command.state == CommandState.SENT:
        acked_at = command.acked_at or now
        change(command.id, (CommandState.SENT,), state=CommandState.RUNNING, started_at=now, acked_at=acked_at)


def append_output(command: Command, lines: Iterable[OutputLine], now: datetime) -> int:
    """Stores lines that are new, in the agent's order; returns the highest number stored, to be confirmed.

    Lines beyond the limits are counted but not kept; one line says so. The first line starts the command.
    """
    start(command, now)
    return _store_lines(command, lines)


def append_answer(command: Command, lines: Iterable[OutputLine], now: datetime) -> None:
    """Stores the lines that came together with a result, which is stored next: it began and ends at once."""
    if command.is_open:
        command.acked_at, command.started_at = command.acked_at or now, command.started_at or now
    _store_lines(command, lines)


def _store_lines(command: Command, lines: Iterable[OutputLine]) -> int:
    last = command.last_output_seq
    room = MAX_OUTPUT_SIZE - (_output_size(command.id) if last else 0)
    for line in sorted(lines, key=lambda line: line.seq):
        if line.seq <= last:
            continue
        last = line.seq
        if room <= 0 or line.seq > MAX_OUTPUT_LINES:
            continue
        room -= len(line.text)
        is_last = room <= 0 or line.seq == MAX_OUTPUT_LINES
        db.session.add(_row(command.id, OutputLine(line.seq, line.at, "", "warning", CUT) if is_last else line))
    if last > command.last_output_seq:
        command.last_output_seq = last
        db.session.flush()
        wake_after_commit(f"command:{command.id}")
    return last


def finish(command: Command, outcome: CommandOutcome, now: datetime) -> bool:
    """Ends the command; False when it had ended before. The first end stays, save one that was only presumed."""
    values = {
        "state": outcome.state,
        "reason": outcome.reason,
        "error": outcome.error,
        "outcome_known": outcome.outcome_known,
        "result": outcome.result,
        "finished_at": now,
    }
    if command.state == CommandState.FAILED and command.reason in PRESUMED and outcome.reason not in PRESUMED:
        is_changed = change(command.id, (CommandState.FAILED,), **values)
    else:
        is_changed = change(command.id, OPEN_STATES, **values)
    return is_changed


def change(command_id: str, expected: Iterable[str], **values: Any) -> bool:
    """The compare-and-set: writes `values` if the state is one of `expected` and says whether it was."""
    return _change(command_id, expected, values) is not None


def _change(command_id: str, expected: Iterable[str], values: Mapping[str, Any]) -> Command | None:
    """The command as it is now, or None when its state was another one. Whoever holds the row sees it fresh."""
    command = db.session.scalar(
        update(Command)
        .where(Command.id == command_id, Command.state.in_(tuple(expected)))
        .values(**values)
        .returning(Command)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    if command is None:
        db.session.get(Command, command_id, populate_existing=True, options=_ALONE)
    else:
        _forget_key(command)
        announce(command)
    return command


def _forget_key(command: Command) -> None:
    """An uploaded key is kept no longer than the command that brings it to the agent, however that ends."""
    if command.kind == CommandKind.INSTALL_CERTIFICATE and not command.is_open:
        db.session.execute(
            delete(UploadedKey).where(UploadedKey.command_id == command.id),
            execution_options={"synchronize_session": False},
        )


def announce(command: Command) -> None:
    """Wakes, after the commit, all who watch this command or must act on it; what was decided is measured."""
    wake_after_commit(f"command:{command.id}")
    is_room_made = not command.is_open and command.resource
    if command.state == CommandState.QUEUED or command.cancel_requested_at is not None or is_room_made:
        wake_after_commit(f"agent:{command.agent_id}")
    wake_after_commit("jobs")
    if command.kind == CommandKind.APPLY_CONFIG:
        wake_after_commit("hosts")
    if command.certificate_id is not None:
        wake_after_commit("certificates")
    measures.note(command)


def _moments(now: datetime) -> dict[str, datetime]:
    """What the statements below must know of the time."""
    return {"now": now, "future": now + CLOCK_PUT_BACK}


# Built once: building costs more than running.
_busy = aliased(Command)
# After the clock was put back the time of a command would not come for long.
_IS_DUE = or_(
    Command.not_before.is_(None),
    Command.not_before <= bindparam("now"),
    Command.created_at > bindparam("future"),
)
_NEXT = (
    select(Command.id)
    .where(
        Command.agent_id == bindparam("agent_id"),
        Command.state == CommandState.QUEUED,
        _IS_DUE,
        Command.expires_at > bindparam("now"),
        or_(
            Command.resource == "",
            ~select(_busy.id)
            .where(
                _busy.agent_id == bindparam("agent_id"),
                _busy.state.in_(IN_FLIGHT),
                _busy.resource == Command.resource,
            )
            .exists(),
        ),
        select(Agent.id)
        .where(
            Agent.id == bindparam("agent_id"),
            Agent.session_epoch == bindparam("epoch"),
            Agent.is_connected,
            Agent.revoked_at.is_(None),
        )
        .exists(),
    )
    .order_by(Command.seq)
    .limit(1)
)
_OPEN = select(Command.id, Command.state, Command.cancel_requested_at).where(
    Command.agent_id == bindparam("agent_id"), Command.state.in_(OPEN_STATES)
)
# Who changes a command has no use for its agent and its author.
_ALONE = (lazyload(Command.agent), lazyload(Command.created_by))


def _row(command_id: str, line: OutputLine) -> CommandOutput:
    return CommandOutput(
        command_id=command_id, seq=line.seq, at=line.at, stage=line.stage, level=line.level, text=line.text
    )


def _output_size(command_id: str) -> int:
    size = select(func.sum(func.length(CommandOutput.text))).where(CommandOutput.command_id == command_id)
    return db.session.scalar(size) or 0
