"""Jobs as lines in other pages' cards.
May import: panel.models, panel.services, panel.web.jobs.words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from panel.models import Command
from panel.services import jobs
from panel.web.jobs import words


@dataclass(frozen=True)
class JobLine:
    """One job: what, how it stands (a pill's tone and word), when it was asked."""

    id: str
    title: str
    tone: str
    word: str
    at: datetime


def recent(agent_id: str, limit: int) -> list[JobLine]:
    """The newest jobs of an agent, newest first."""
    return [_line(command) for command in jobs.list_page(agent_id=agent_id, per_page=limit).items]


def about(certificate_id: int, limit: int) -> list[JobLine]:
    """The newest jobs of a certificate, newest first."""
    return [_line(command) for command in jobs.list_page(certificate_id=certificate_id, per_page=limit).items]


def _line(command: Command) -> JobLine:
    tone, word = words.state_of(command)
    return JobLine(command.id, words.kind_of(command), tone, word, command.created_at)
