"""The agent's disk is full: what it cannot keep it refuses, and what has ended is told as soon as there is room."""

from __future__ import annotations

from panel.models import AgentStatus, CommandState
from tests.faults.plant import Plant, limit_files, nginx_of

S = CommandState


def test_a_command_that_a_full_disk_cannot_keep_is_refused_and_not_run(near: Plant) -> None:
    limit_files(near.agent.pid, 0)
    command = near.until_ended(near.enqueue())
    assert (command.state, command.reason, command.outcome_known) == (S.FAILED, "REJECTED", True)
    assert "disk is full" in command.error
    assert near.status() is AgentStatus.ONLINE
    limit_files(near.agent.pid, -1)
    assert near.until_ended(near.enqueue()).state == S.SUCCEEDED


def test_a_result_that_a_full_disk_did_not_take_is_told_when_there_is_room(near: Plant) -> None:
    nginx = nginx_of(near.bench)
    nginx.suspend()
    command_id = near.enqueue()
    near.until(lambda: near.reloads(command_id))
    limit_files(near.agent.pid, 0)
    nginx.resume()
    heard_at = near.row().last_seen_at
    near.until(lambda: near.row().last_seen_at != heard_at)  # it lives, and keeps what it cannot write
    assert near.command(command_id).state == S.RUNNING
    limit_files(near.agent.pid, -1)
    command = near.until_ended(command_id)
    assert (command.state, near.reloads(command_id)) == (S.SUCCEEDED, 1)
