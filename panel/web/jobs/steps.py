"""The steps of a job with their real durations, computed from the stages of its output.
May import: panel.models, panel.services.jobs, panel.web.certificates.findings, panel.web.jobs.words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.services.jobs import StageMark
from panel.web.certificates.findings import Record
from panel.web.jobs import words

_SPOKEN = {
    "done": lazy_gettext("Done"),
    "now": lazy_gettext("In progress"),
    "fail": lazy_gettext("Failed"),
    "todo": lazy_gettext("Not started"),
    "skip": lazy_gettext("Not needed"),
}
# What is undone or tidied up is no step forwards: a job does not end at it.
_NO_PROGRESS = {"rollback", "cleanup"}


@dataclass(frozen=True)
class Step:
    """One step. `state`: done, now, fail, todo, skip. `elapsed` is None where nothing was measured."""

    label: str
    state: str
    elapsed: timedelta | None = None
    hint: str = ""
    news: str = ""  # the newest line of the agent; hostile text
    records: tuple[Record, ...] = ()

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


@dataclass(frozen=True)
class Progress:
    """What is known of a job beside its row: the stages it reached, its challenge, its newest line and the records
    that a person is to add."""

    marks: list[StageMark]
    challenge: str = ""
    news: str = ""
    records: tuple[Record, ...] = ()


def build(command: Command, progress: Progress, now: datetime | None = None) -> list[Step]:
    """All steps of the job, reached or not."""
    moment = now or utcnow()
    marks = [mark for mark in progress.marks if mark.stage != "cleanup"]
    reached = {mark.stage: index for index, mark in enumerate(marks)}
    steps = [_delivery(command, progress.marks, moment)]
    for name in _names(command, marks):
        index = reached.get(name)
        steps.append(_missing(command, name) if index is None else _reached(command, progress, marks[index:], moment))
    return steps


def failed_stage(command: Command, marks: list[StageMark]) -> str:
    """The stage at which the job ended badly; "" when it never got to one."""
    if command.is_open or command.has_succeeded:
        return ""
    forwards = [mark.stage for mark in marks if mark.stage not in _NO_PROGRESS]
    return command.result.get("failed_stage") or (forwards[-1] if forwards else "")


def _names(command: Command, marks: list[StageMark]) -> list[str]:
    """The stages to show: those of the kind, and others where they came (a check before a renewal, a rollback)."""
    names = list(words.stages_of(command))
    for position, mark in enumerate(marks):
        if mark.stage in names or not words.stage_label(command, mark.stage):
            continue
        follower = next((m.stage for m in marks[position:] if m.stage in names), None)
        names.insert(names.index(follower) if follower else len(names), mark.stage)
    return names


def _delivery(command: Command, marks: list[StageMark], now: datetime) -> Step:
    if command.kind == CommandKind.RENEW_CERTIFICATE and command.created_by_id is None:
        return Step(_("Begun by %(name)s", name=command.agent.name), "done")
    label = _("Send to %(name)s", name=command.agent.name)
    arrived = command.started_at or command.acked_at
    if arrived or marks:
        return Step(label, "done", arrived - command.created_at if arrived else None)
    waited = (command.finished_at or now) - command.created_at
    if command.is_open:
        return Step(label, "now", waited, _delivery_hint(command, now))
    if command.state == CommandState.CANCELLED:
        return Step(label, "todo", None, _("Cancelled before it was sent."))
    return Step(label, "done" if command.has_succeeded else "fail", waited)


def _delivery_hint(command: Command, now: datetime) -> str:
    if command.not_before is not None and command.not_before > now:
        return _("Edits within a short time become one reload, so this one waits a moment.")
    if not command.agent.is_connected:
        return _("%(name)s is not connected. The job starts when it comes back.", name=command.agent.name)
    if command.state == CommandState.QUEUED:
        return _("Another job of this agent goes first.")
    return _("The agent has not confirmed yet.")


def _reached(command: Command, progress: Progress, marks: list[StageMark], now: datetime) -> Step:
    """The step of the first of `marks`; the others came after it."""
    mark = marks[0]
    label = words.stage_label(command, mark.stage)
    if len(marks) == 1 and command.is_open:
        hint = words.stage_hint(command, mark.stage, progress.challenge)
        records = progress.records if mark.stage == "challenge" else ()
        return Step(label, "now", now - mark.began, hint, progress.news, records)
    elapsed = (mark.last_line if len(marks) == 1 else marks[1].began) - mark.began
    if mark.stage == failed_stage(command, progress.marks):
        return Step(label, "fail", elapsed)
    is_failed_rollback = mark.stage == "rollback" and command.result.get("degraded")
    return Step(label, "fail" if is_failed_rollback else "done", elapsed)


def _missing(command: Command, name: str) -> Step:
    """A stage without output: to come, not needed, or done by an agent that says little."""
    label, is_single = words.stage_label(command, name), len(words.stages_of(command)) == 1
    if not command.has_succeeded:
        if not command.is_open and (name == command.result.get("failed_stage") or (is_single and command.started_at)):
            return Step(label, "fail")
        is_working = command.state == CommandState.RUNNING and is_single
        return Step(label, "now" if is_working else "todo")
    return Step(label, "done" if is_single else "skip")
