"""What the end of a command means."""

from __future__ import annotations

import pytest

from panel.extensions import db
from panel.models import Agent, Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.services import commands, deployments, outcomes
from panel.services.transitions import CommandOutcome

pytestmark = pytest.mark.usefixtures("context")

FACTS = {
    "version": "1.27.3",
    "http_port": 80,
    "https_port": 443,
    "running": True,
    "applied_revision": "r",
    "modules": ["--with-http_ssl_module"],
    "problem": "",
    "ipv6": True,
}


def apply(agent: Agent) -> Command:
    command = commands.enqueue(agent, CommandKind.APPLY_CONFIG)
    deployments.freeze(command)
    return command


def proof(command: Command) -> CommandOutcome:
    return CommandOutcome(CommandState.SUCCEEDED, result={"revision": command.payload["revision"]})


def test_a_proved_apply_makes_its_revision_the_live_one(agent: Agent) -> None:
    agent.generation = 4
    command = apply(agent)
    assert outcomes.record(command, proof(command), utcnow())
    assert (agent.applied_generation, agent.applied_revision) == (4, command.payload["revision"])
    assert agent.reported_revision == command.payload["revision"]


def test_a_second_end_has_no_consequences(agent: Agent) -> None:
    command = apply(agent)
    outcomes.record(command, CommandOutcome(CommandState.FAILED, "FAILED", "It failed."), utcnow())
    assert not outcomes.record(command, proof(command), utcnow())
    assert (agent.applied_revision, agent.apply_error) == ("", "It failed.")


def test_a_late_report_of_an_older_apply_does_not_take_the_newer_one_back(agent: Agent) -> None:
    older = apply(agent)
    outcomes.record(older, CommandOutcome(CommandState.FAILED, "LOST", "Lost.", outcome_known=False), utcnow())
    agent.generation = 9
    newer = apply(agent)
    outcomes.record(newer, proof(newer), utcnow())
    agent.applied_revision = "newer"
    db.session.flush()
    assert outcomes.record(older, proof(older), utcnow())
    assert (agent.applied_revision, older.state) == ("newer", CommandState.SUCCEEDED)


def test_a_cancelled_apply_is_no_failure(agent: Agent) -> None:
    outcomes.record(apply(agent), CommandOutcome(CommandState.CANCELLED, "CANCELLED", "Cancelled."), utcnow())
    assert agent.apply_error == ""


def test_a_check_refreshes_the_facts_of_the_agent(agent: Agent) -> None:
    command = commands.enqueue(agent, CommandKind.CHECK_NGINX)
    outcomes.record(command, CommandOutcome(CommandState.SUCCEEDED, result={"nginx": FACTS}), utcnow())
    assert (agent.nginx_version, agent.nginx_modules) == ("1.27.3", ["--with-http_ssl_module"])


def test_a_failed_question_leaves_the_facts_alone(agent: Agent) -> None:
    command = commands.enqueue(agent, CommandKind.CHECK_NGINX)
    outcomes.record(command, CommandOutcome(CommandState.FAILED, "TIMEOUT", "No answer."), utcnow())
    assert agent.nginx_version == "1.22.1"


def test_a_reload_reports_what_is_served(agent: Agent) -> None:
    command = commands.enqueue(agent, CommandKind.RELOAD)
    outcomes.record(command, CommandOutcome(CommandState.SUCCEEDED, result={"revision": "r7"}), utcnow())
    assert agent.reported_revision == "r7"
