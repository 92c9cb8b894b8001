"""The steps of a job with their real durations, computed from the stages of its output.
May import: panel.models, panel.services.jobs, panel.web.jobs.words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from panel.models import Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.services.jobs import StageMark
from panel.web.jobs.words import STAGE_HINTS, STAGE_LABELS, STAGES

_SPOKEN = {"done": "Done", "now": "In progress", "fail": "Failed", "todo": "Not started", "skip": "Not needed"}


@dataclass(frozen=True)
class Step:
    """One step. `state`: done, now, fail, todo, skip. `elapsed` is None where nothing was measured."""

    label: str
    state: str
    elapsed: timedelta | None = None
    hint: str = ""

    @property
    def spoken(self) -> str:
        """The state in a word, for who does not see the colour."""
        return _SPOKEN[self.state]

    @property
    def is_running(self) -> bool:
        """Whether the page counts its time up."""
        return self.state == "now"

    @property
    def is_current(self) -> bool:
        """Whether this is where the job stands."""
        return self.state in {"now", "fail"}

    @property
    def seconds(self) -> float:
        """The elapsed time for the page's counter."""
        return max(0.0, self.elapsed.total_seconds()) if self.elapsed else 0.0


def build(command: Command, marks: list[StageMark], now: datetime | None = None) -> list[Step]:
    """All steps of the job, reached or not."""
    moment = now or utcnow()
    reached = {mark.stage: index for index, mark in enumerate(marks)}
    names = [*STAGES[CommandKind(command.kind)]]
    names += [mark.stage for mark in marks if mark.stage not in names and mark.stage in STAGE_LABELS]
    steps = [_delivery(command, marks, moment)]
    for name in names:
        index = reached.get(name)
        steps.append(_missing(command, name) if index is None else _reached(command, marks, index, moment))
    return steps


def failed_stage(command: Command, marks: list[StageMark]) -> str:
    """The stage at which the job ended badly; "" when it never got to one."""
    if command.is_open or command.has_succeeded:
        return ""
    before_rollback = [mark.stage for mark in marks if mark.stage != "rollback"]
    return command.result.get("failed_stage") or (before_rollback[-1] if before_rollback else "")


def _delivery(command: Command, marks: list[StageMark], now: datetime) -> Step:
    label = f"Send to {command.agent.name}"
    arrived = command.started_at or command.acked_at
    if arrived or marks:
        return Step(label, "done", arrived - command.created_at if arrived else None)
    waited = (command.finished_at or now) - command.created_at
    if command.is_open:
        return Step(label, "now", waited, _delivery_hint(command, now))
    if command.state == CommandState.CANCELLED:
        return Step(label, "todo", None, "Cancelled before it was sent.")
    return Step(label, "done" if command.has_succeeded else "fail", waited)


def _delivery_hint(command: Command, now: datetime) -> str:
    if command.not_before is not None and command.not_before > now:
        return "Edits within a short time become one reload, so this one waits a moment."
    if not command.agent.is_connected:
        return f"{command.agent.name} is not connected. The job starts when it comes back."
    if command.state == CommandState.QUEUED:
        return "Another job of this agent goes first."
    return "The agent has not confirmed yet."


def _reached(command: Command, marks: list[StageMark], index: int, now: datetime) -> Step:
    mark = marks[index]
    label = STAGE_LABELS[mark.stage]
    is_last = index == len(marks) - 1
    if is_last and command.is_open:
        return Step(label, "now", now - mark.began, STAGE_HINTS[mark.stage])
    elapsed = (mark.last_line if is_last else marks[index + 1].began) - mark.began
    if mark.stage == failed_stage(command, marks):
        return Step(label, "fail", elapsed)
    is_failed_rollback = mark.stage == "rollback" and command.result.get("degraded")
    return Step(label, "fail" if is_failed_rollback else "done", elapsed)


def _missing(command: Command, name: str) -> Step:
    """A stage without output: to come, not needed, or done by an agent that says little."""
    if not command.has_succeeded:
        is_working = command.state == CommandState.RUNNING and len(STAGES[CommandKind(command.kind)]) == 1
        return Step(STAGE_LABELS[name], "now" if is_working else "todo")
    is_question = CommandKind(command.kind).is_question
    return Step(STAGE_LABELS[name], "done" if is_question else "skip")
