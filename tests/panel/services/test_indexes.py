"""What is asked each second, or at each page or edit, reads no row of a command that is over."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from panel.extensions import db
from panel.models import Agent, Certificate, CommandKind
from panel.models.types import utcnow
from panel.services import (
    agent_jobs,
    batching,
    certificate_jobs,
    commands,
    counts,
    form_checks,
    jobs,
    recovery,
    transitions,
)
from panel.services.agent_jobs import StartedCommand
from panel.services.jobs import JobResult
from tests.statements import Statement, counted, plan

pytestmark = [
    pytest.mark.usefixtures("context"),
    pytest.mark.skipif("WAYPOST_TEST_DATABASE" in os.environ, reason="reads the plans of SQLite"),
]

BORN = "9b1c2d3e-0000-4000-8000-00000000000a"
QUESTIONS: dict[str, Callable[[Agent], object]] = {
    "the clock": lambda _agent: recovery.expire_due(utcnow()),
    "the navigation": lambda _agent: counts.read(stale_after=25),
    "the list of jobs": lambda _agent: jobs.list_page(kind=None, result=None),
    "jobs that run": lambda _agent: jobs.list_page(kind=None, result=JobResult.OPEN),
    "jobs of an agent": lambda agent: jobs.list_page(agent_id=agent.id, result=JobResult.SUCCEEDED),
    "a form": lambda agent: form_checks.addresses_of(agent, ["app.example.com"]),
    "an edit": lambda agent: batching.first_due_at(agent, timedelta(seconds=1)),
    "an apply": lambda agent: commands.find_open(agent.id, CommandKind.APPLY_CONFIG),
    "the stream": lambda agent: transitions.claim_next(agent.id, 1, utcnow()),
    "a click on a certificate": lambda agent: certificate_jobs.find_open(Certificate(id=1, agent_id=agent.id)),
    "a certificate's page": lambda _agent: certificate_jobs.history_of(1),
    "an agent that comes back": certificate_jobs.repeat_expired,
    "an agent's own job": lambda agent: agent_jobs.adopt(
        agent, StartedCommand(BORN, "a.example.com", utcnow()), utcnow()
    ),
    "the stream's pause": lambda agent: transitions.next_due_at(agent.id, utcnow()),
}


@pytest.fixture
def asked() -> Iterator[list[Statement]]:
    """The statements that the database was asked."""
    with counted() as found:
        yield found


@pytest.mark.parametrize("who", QUESTIONS)
def test_no_question_walks_through_all_commands(agent: Agent, asked: list[Statement], who: str) -> None:
    QUESTIONS[who](agent)
    statements = [one for one in asked if "command" in one.text]
    assert statements
    for one in statements:
        statement, steps = one.text, plan(one)
        assert not re.search(r"SCAN command(?! USING)", steps), f"{statement}\n{steps}"
        assert (
            who != "a form"
            or "FROM agent" in statement
            or "ix_command_kind_created_at (kind=? AND created_at>?)" in steps
        ), steps
        # A few open commands may be sorted; all that ever were may not.
        assert who != "the list of jobs" or "ORDER BY" not in steps, f"{statement}\n{steps}"


def test_the_list_of_jobs_leaves_the_files_names_where_they_are(agent: Agent, asked: list[Statement]) -> None:
    db.session.execute(text("SELECT 1"))
    jobs.list_page(kind=None, result=None)
    assert not any("command.payload" in statement for statement, _ in asked if "LIMIT" in statement)
