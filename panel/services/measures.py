"""What operators watch of commands and agents: times and ends as they are committed, and what there is right now.
May import: panel.services.{certificate_conditions,jobs}, panel.models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise

from sqlalchemy import case, func, select

from panel import metrics
from panel.extensions import after_commit, db
from panel.models import OPEN_STATES, AgentStatus, Certificate, Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.services import jobs
from panel.services.certificate_conditions import IS_FAILING, IS_USED


def note(command: Command) -> None:
    """Counts, once the transaction is committed, that a command was sent or has ended."""
    if command.state == CommandState.SENT and command.sent_at is not None:
        due_at = max(command.created_at, command.not_before or command.created_at)
        waited = (command.sent_at - due_at).total_seconds()
        after_commit(f"sent {command.id}", partial(metrics.command_wait.labels(command.kind).observe, max(0.0, waited)))
    elif not command.is_open:
        result = command.reason.lower() if command.reason and not command.has_succeeded else command.state
        after_commit(f"ended {command.id}", _End(command.kind, result, _run_time(command), _stage_times(command)).count)


@dataclass(frozen=True)
class Tally:
    """How many open commands there are by (kind, state), how many certificates by state, and the seconds that the
    first of those in use has left; NaN when none is in use."""

    open_commands: dict[tuple[str, str], int]
    certificates: dict[str, int]
    seconds_left: float


def take_tally() -> Tally:
    """Counts what there is now; zero is counted too, so that a curve comes down."""
    every = {(kind.value, state.value): 0 for kind in CommandKind for state in OPEN_STATES}
    query = select(Command.kind, Command.state, func.count()).where(Command.state.in_(OPEN_STATES))
    rows = db.session.execute(query.group_by(Command.kind, Command.state)).all()
    open_commands = every | {(kind, state): number for kind, state, number in rows}
    return Tally(open_commands, _count_certificates(), _seconds_left(utcnow()))


def show(tally: Tally, statuses: Iterable[AgentStatus]) -> None:
    """Puts a tally and the agents' statuses where they are read."""
    for labels, number in tally.open_commands.items():
        metrics.commands_open.labels(*labels).set(number)
    for state, number in tally.certificates.items():
        metrics.certificates.labels(state).set(number)
    metrics.certificate_days_left.set(tally.seconds_left / 86_400)
    found = Counter(statuses)
    for status in AgentStatus:
        metrics.agents.labels(status.value).set(found[status])


@dataclass(frozen=True)
class _End:
    """How a command ended, in plain values: the row may be gone when this is counted."""

    kind: str
    result: str
    seconds: float | None
    stages: dict[str, float]

    def count(self) -> None:
        metrics.commands_ended.labels(self.kind, self.result).inc()
        if self.seconds is not None:
            metrics.command_run.labels(self.kind).observe(self.seconds)
        for stage, seconds in self.stages.items():
            metrics.stages.labels(self.kind, stage).observe(seconds)


def _count_certificates() -> dict[str, int]:
    """A certificate counts once: what is wrong with it before what is right."""
    is_failing = case((IS_FAILING, "failing"), (Certificate.is_present, "present"), else_="absent")
    rows = db.session.execute(select(is_failing, func.count()).group_by(is_failing)).all()
    return {"failing": 0, "present": 0, "absent": 0} | {str(state): number for state, number in rows}


def _seconds_left(now: datetime) -> float:
    first = db.session.scalar(select(func.min(Certificate.not_after)).where(Certificate.is_present, IS_USED))
    return float("nan") if first is None else (first - now).total_seconds()


def _run_time(command: Command) -> float | None:
    if command.sent_at is None or command.finished_at is None:
        return None
    return max(0.0, (command.finished_at - command.sent_at).total_seconds())


def _stage_times(command: Command) -> dict[str, float]:
    """Seconds per stage; the last one lasts until its last line, because the panel's clock is another one."""
    if not command.last_output_seq:
        return {}
    marks = [mark for mark in jobs.stage_marks(command.id) if mark.stage in STAGES]
    ends: list[datetime] = [after.began for _, after in pairwise(marks)] + [mark.last_line for mark in marks[-1:]]
    return {mark.stage: max(0.0, (end - mark.began).total_seconds()) for mark, end in zip(marks, ends, strict=True)}


# What an agent says is no label: it could make any number of them.
STAGES = frozenset(
    {"fetch", "test", "switch", "reload", "prove", "rollback", "check"}
    | {"order", "challenge", "validation", "issued", "installed", "served", "cleanup"}
)
