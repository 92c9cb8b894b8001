"""What the end of a command means."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from panel.extensions import db
from panel.models import Agent, Command, CommandKind, CommandState, ProxyHost
from panel.models.types import utcnow
from panel.services import bundles, commands, deployments, outcomes
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


def file_errors(**result: object) -> CommandOutcome:
    errors = [{"path": "hosts/1-app.example.com.conf", "line": 3, "text": "duplicate upstream"}]
    return CommandOutcome(
        CommandState.FAILED, "ROLLED_BACK", "nginx refused.", result={"file_errors": errors, **result}
    )


def test_a_host_that_only_the_reload_refused_is_set_aside_and_the_others_are_sent_again(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    bad = save()
    save("good.example.com")
    outcomes.record(apply(agent), file_errors(rolled_back=True), utcnow())
    assert bad.is_refused
    again = commands.find_open(agent.id, CommandKind.APPLY_CONFIG)
    assert again is not None
    deployments.freeze(again)
    assert [path for path in bundles.manifest_for(again) if path.startswith("hosts/")] == [
        "hosts/2-good.example.com.conf"
    ]


def test_a_degraded_apply_is_left_to_a_person(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    outcomes.record(apply(agent), file_errors(degraded=True), utcnow())
    assert not host.is_refused
    assert agent.apply_error == "nginx refused."
    assert commands.find_open(agent.id, CommandKind.APPLY_CONFIG) is None


def test_a_refused_apply_is_not_sent_again_however_often_its_agent_comes_back(agent: Agent) -> None:
    first = apply(agent)
    outcomes.record(first, proof(first), utcnow())
    agent.generation += 1
    failed = CommandOutcome(CommandState.FAILED, "ROLLED_BACK", "A port is taken.", result={"rolled_back": True})
    outcomes.record(apply(agent), failed, utcnow())
    for _ in range(10):
        assert deployments.reconcile(agent, agent.applied_revision) is None
    assert agent.apply_error == "A port is taken."
