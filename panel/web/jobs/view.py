"""What a job's page shows, gathered once for the page and for its stream, so that they cannot differ.
May import: panel.models, panel.services, panel.web.filters, panel.web.jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from panel.models import Command, CommandKind
from panel.models.types import utcnow
from panel.services import jobs
from panel.web.filters import duration
from panel.web.jobs import steps, words
from panel.web.jobs.failure import Evidence, Failure, explain


@dataclass(frozen=True)
class Fact:
    """One line of the facts: a word, a value, and the page it leads to or ""."""

    name: str
    value: str
    url: str = ""
    is_code: bool = False


@dataclass(frozen=True)
class JobView:
    """One job, ready to be shown."""

    command: Command
    title: str
    status_kind: str
    status_word: str
    elapsed: timedelta | None
    steps: list[steps.Step]
    failure: Failure | None
    facts: list[Fact]
    warnings: list[str]
    follow_up: Command | None

    @property
    def is_open(self) -> bool:
        """Whether more is to come."""
        return self.command.is_open

    @property
    def status_text(self) -> str:
        """The words of the pill: how it ended, and after how long."""
        if self.is_open or self.elapsed is None:
            return self.status_word
        took = duration(self.elapsed)
        return f"{self.status_word} in {took}" if self.command.has_succeeded else f"{self.status_word} after {took}"

    @property
    def spoken_step(self) -> str:
        """One sentence for who listens instead of looking."""
        for number, step in enumerate(self.steps, 1):
            if step.is_current:
                return f"Step {number} of {len(self.steps)}, {step.spoken.lower()}: {step.label}."
        return f"{self.title}: {self.status_word}."

    @property
    def can_cancel(self) -> bool:
        """Whether it can still be taken back."""
        return self.command.is_open

    @property
    def can_retry(self) -> bool:
        """Whether a new one like it makes sense."""
        return not self.command.is_open and not self.command.has_succeeded


def view(command: Command) -> JobView:
    """Reads what is stored about the job now."""
    marks = jobs.stage_marks(command.id)
    kind, word = words.state_of(command)
    is_over_badly = not command.is_open and not command.has_succeeded
    return JobView(
        command=command,
        title=f"{words.kind_of(command)} on {command.agent.name}",
        status_kind=kind,
        status_word=word,
        elapsed=elapsed(command),
        steps=steps.build(command, marks),
        failure=_failure(command, marks) if is_over_badly else None,
        facts=_facts(command),
        warnings=[str(text) for text in command.result.get("warnings", [])],
        follow_up=None if command.is_open else jobs.follow_up(command),
    )


def elapsed(command: Command, now: datetime | None = None) -> timedelta | None:
    """How long it has been worked on, by the panel's clock; None when it never started."""
    if command.started_at is None:
        return None
    return (command.finished_at or now or utcnow()) - command.started_at


def _failure(command: Command, marks: list[jobs.StageMark]) -> Failure | None:
    last_error = jobs.last_stage_text(command.id, "error")
    hosts = tuple(jobs.refused_hosts(command.id))
    return explain(Evidence(command, steps.failed_stage(command, marks), last_error, hosts))


def _facts(command: Command) -> list[Fact]:
    facts = [Fact("Agent", command.agent.name, f"/agents/{command.agent_id}")]
    revision = command.result.get("revision") or command.payload.get("revision")
    if revision:
        facts.append(Fact("Revision", str(revision)[:12], is_code=True))
    files = command.payload.get("files")
    if files:
        facts.append(Fact("Files", str(files)))
    if command.retry_of_id:
        facts.append(Fact("Retry of", "the job before", f"/jobs/{command.retry_of_id}"))
    if command.kind == CommandKind.CHECK_NGINX and command.has_succeeded:
        facts += _nginx_facts(command)
    return facts


def _nginx_facts(command: Command) -> list[Fact]:
    nginx = command.result.get("nginx", {})
    workers, leaving = command.result.get("workers", 0), command.result.get("workers_shutting_down", 0)
    facts = [
        Fact("nginx", str(nginx.get("version") or "not found"), is_code=True),
        Fact("State", "running" if nginx.get("running") else "not running"),
        Fact("Workers", f"{workers}, {leaving} shutting down" if leaving else str(workers)),
    ]
    if nginx.get("problem"):
        facts.append(Fact("Problem", str(nginx["problem"])))
    return facts
