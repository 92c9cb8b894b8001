"""The panel is killed at any point, or its database fails: nothing is lost, nothing is confirmed that is not stored."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import gevent
import pytest
from flask import Flask
from sqlalchemy import func, select

from panel import failpoints
from panel.config import Config
from panel.extensions import db, stopping, transaction, vitals
from panel.models import Agent, AgentStatus, CommandState
from panel.models.types import utcnow
from panel.serve import Panel
from panel.services import agents
from tests.faults.plant import PanelProcess, Plant
from tests.panel.rpc.wire import Identity, Wire, enroll, until

S = CommandState
Far = tuple[Plant, PanelProcess]
MINUTE = 60.0  # seconds


@pytest.mark.parametrize(
    "failpoint",
    [
        pytest.param("before_write", id="case_2_claimed_and_not_written"),
        pytest.param("after_write", id="case_3_written"),
        pytest.param("before_commit", id="case_9_result_read_and_not_stored"),
        pytest.param("after_commit", id="result_stored_and_nobody_woken"),
        pytest.param("before_ack", id="case_8_result_stored_and_not_confirmed"),
    ],
)
def test_a_command_whose_panel_is_killed_runs_once_and_ends_once(far: Far, failpoint: str) -> None:
    plant, panel = far
    first_apply_has_passed = ":2"
    panel.start(failpoint + first_apply_has_passed)
    plant.agent.start()
    plant.until_online()
    command_id = plant.enqueue()
    panel.wait_dead()
    panel.start()
    command = plant.until_ended(command_id)
    assert (command.state, plant.reloads(command_id)) == (S.SUCCEEDED, 1)
    plant.until_online()
    plant.until(lambda: not plant.bench.journal.open_commands())  # the agent need not repeat it any more


def test_case_9_a_result_that_could_not_be_committed_is_repeated_and_stored_once(near: Plant) -> None:
    failpoints.arm("before_commit:raise")
    command_id = near.enqueue()
    near.until(lambda: near.command(command_id).state != S.QUEUED)  # a slow machine may lose the agent before that
    near.until_away()
    assert near.command(command_id).state == S.RUNNING
    assert [entry.command_id for entry in near.bench.journal.open_commands()] == [command_id]
    command = near.until_ended(command_id)
    assert (command.state, near.reloads(command_id)) == (S.SUCCEEDED, 1)


def test_case_52_a_database_that_is_locked_for_a_minute_loses_nothing(far: Far) -> None:
    plant, panel = far
    panel.start()
    plant.agent.start()
    plant.until_online()
    command_ids = [plant.enqueue(), plant.enqueue()]
    unlock_at = time.monotonic() + MINUTE
    with plant.locked_database():
        plant.until(lambda: "locked" in panel.log)
        gevent.sleep(unlock_at - time.monotonic())
        assert any(plant.command(each).is_open for each in command_ids)
    for each in command_ids:
        command = plant.until_ended(each)
        assert (command.state, plant.reloads(each)) == (S.SUCCEEDED, 1)
    plant.until(lambda: plant.status() is AgentStatus.ONLINE)


def test_case_52_a_panel_whose_disk_is_full_confirms_nothing_and_goes_on_when_there_is_room(far: Far) -> None:
    plant, panel = far
    panel.start()
    plant.agent.start()
    plant.until_online()
    command_id = plant.enqueue()
    plant.until(lambda: plant.command(command_id).state != S.QUEUED)
    panel.limit_files(0)
    following = [plant.enqueue() for _ in range(3)]
    plant.until(lambda: plant.status() is not AgentStatus.ONLINE)
    assert any(plant.command(each).is_open for each in following)
    panel.limit_files(-1)
    for each in (command_id, *following):
        command = plant.until_ended(each)
        assert (command.state, plant.reloads(each)) == (S.SUCCEEDED, 1)
    plant.until(lambda: plant.status() is AgentStatus.ONLINE)


def test_case_16_many_agents_are_asked_to_come_back_spread_out_and_are_not_called_offline(
    app: Flask, config: Config
) -> None:
    app.config["WAYPOST"] = replace(config, heartbeat_interval=60.0)  # these agents send no heartbeats
    panel = Panel(app)
    panel.start()
    identities = [join(app, panel.config, f"agent-{number}") for number in range(50)]
    wires = [Wire(panel.config, identity).__enter__() for _, identity in identities]
    for wire in wires:
        wire.greet()
    with app.app_context():
        until(lambda: count_synced() == len(wires))
    gevent.spawn(panel.stop)
    waits = [wire.expect("goodbye").retry_after.ToTimedelta().total_seconds() for wire in wires]
    for wire in wires:
        wire.__exit__(None, None, None)
    assert all(1.0 <= wait <= 2.0 for wait in waits)
    assert max(waits) - min(waits) > 0.5
    again = Panel(app)
    again.start()
    with app.app_context():
        moment = utcnow() + timedelta(seconds=config.offline_after + 10)
        statuses = {agents.status(agent, moment, config) for agent in agents.list_all()}
    again.stop()
    stopping.clear()
    vitals.clock_ticked_at = None
    assert statuses == {AgentStatus.STALE}


def count_synced() -> int:
    """How many agents are connected and resynchronised now."""
    db.session.rollback()
    return db.session.scalar(select(func.count()).where(Agent.is_synced)) or 0


def join(app: Flask, config: Config, name: str) -> tuple[str, Identity]:
    """An agent that joins over the wire."""
    with app.app_context(), transaction():
        agent, token = agents.create(name, None, config)
        agent_id = agent.id
    identity = Identity()
    enroll(config, token, identity)
    return agent_id, identity
