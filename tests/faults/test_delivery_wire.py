"""The link is cut, swallows bytes or is used by two: each command is run once and both sides find back."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from agent.identity import load
from panel.extensions import transaction
from panel.models import AgentStatus, CommandKind, CommandState
from panel.services import agents
from tests.agent.far_side import AgentProcess
from tests.faults.plant import Plant, nginx_of
from tests.product import free_ports

S = CommandState


def test_case_1_commands_for_an_absent_agent_wait_and_come_once_in_their_order(near: Plant) -> None:
    near.agent.stop()
    near.until_away()
    ids = [near.enqueue() for _ in range(3)]
    assert {near.command(each).state for each in ids} == {S.QUEUED}
    near.agent.start()
    ended = [near.until_ended(each) for each in ids]
    assert [(one.state, near.reloads(one.id), one.delivery_count) for one in ended] == [(S.SUCCEEDED, 1, 1)] * 3
    moments = [one.finished_at for one in ended]
    assert moments == sorted(moments, key=str)


def test_case_3_a_command_that_the_link_swallowed_is_sent_again(near: Plant) -> None:
    near.proxy.swallow(up=False)
    command_id = near.enqueue()
    near.until_state(command_id, S.SENT)
    near.proxy.cut()
    near.proxy.open()
    command = near.until_ended(command_id)
    assert (command.state, near.reloads(command_id), command.delivery_count) == (S.SUCCEEDED, 1, 2)


def test_case_5_a_command_whose_acknowledgement_the_link_swallowed_is_not_run_again(near: Plant) -> None:
    near.proxy.swallow(down=False)
    command_id = near.enqueue()
    near.until(lambda: any(e.command_id == command_id and e.result for e in near.bench.journal.open_commands()))
    assert near.command(command_id).acked_at is None
    near.proxy.cut()
    near.proxy.open()
    command = near.until_ended(command_id)
    assert (command.state, near.reloads(command_id), command.delivery_count) == (S.SUCCEEDED, 1, 1)


def test_case_7_what_ended_while_the_link_was_down_is_told_with_every_line(near: Plant) -> None:
    nginx = nginx_of(near.bench)
    nginx.suspend()
    command_id = near.enqueue()
    near.until(lambda: near.reloads(command_id))
    near.proxy.close()
    near.until_away()
    nginx.resume()
    near.until(lambda: any(entry.result for entry in near.bench.journal.open_commands()))
    (entry,) = near.bench.journal.open_commands()
    assert near.command(command_id).state == S.RUNNING
    near.proxy.open()
    assert near.until_ended(command_id).state == S.SUCCEEDED
    assert len(near.lines(command_id)) == entry.last_seq


@pytest.mark.parametrize(("up", "down"), [(True, True), (True, False), (False, True)], ids=["both_ways", "up", "down"])
def test_case_12_a_link_that_swallows_bytes_is_noticed_by_both_sides(near: Plant, up: bool, down: bool) -> None:
    before, connections = near.row().session_epoch, near.proxy.connections
    near.proxy.swallow(up=up, down=down)
    near.until_away()
    near.until(lambda: near.proxy.connections > connections)  # the agent has left the dead connection too
    near.proxy.cut()
    near.proxy.open()
    near.until_online()
    assert near.row().session_epoch > before
    assert near.until_ended(near.enqueue()).state == S.SUCCEEDED


def test_case_13_a_half_open_stream_is_replaced_and_its_end_does_not_remove_the_new_one(near: Plant) -> None:
    before = near.row().session_epoch
    near.proxy.forsake()  # the agent's end breaks, the panel's stays
    near.until(lambda: near.row().session_epoch > before and near.row().is_synced)
    near.proxy.cut()
    near.until(lambda: near.row().is_synced)
    assert near.until_ended(near.enqueue()).state == S.SUCCEEDED


def test_case_14_two_machines_with_one_identity_are_both_held_off_until_one_joins_anew(near: Plant) -> None:
    clone = replace(near.bench.config, state_dir=near.bench.config.state_dir.with_name("clone"))
    shutil.copytree(near.bench.config.identity_dir, clone.identity_dir)
    http_port, https_port, status_port = free_ports(3)
    clone = replace(clone, http_port=http_port, https_port=https_port, status_port=status_port)
    other = AgentProcess(clone).start()
    try:
        near.until(lambda: near.status() is AgentStatus.REFUSED)
        assert "Two machines use this agent's identity" in near.row().refused_because
        near.until(lambda: "trying again in five minutes" in near.agent.log)
        queued = near.enqueue()
        epoch = near.row().session_epoch
        near.agent.stop()
        near.rejoin()
        near.agent.start()
        near.until_online()
        assert near.status() is AgentStatus.ONLINE
        assert near.until_ended(queued).state == S.SUCCEEDED
        assert near.row().session_epoch - epoch == 2  # the join and one session: the clone stays away
        assert load(clone.identity_dir) is not None
    finally:
        other.kill()


def test_agents_that_are_restarted_often_are_not_taken_for_two_machines(near: Plant) -> None:
    for _ in range(5):
        near.agent.kill()
        near.until_away()
        near.agent.start()
        near.until_online()
    near.proxy.cut()
    near.until(lambda: near.status() is AgentStatus.ONLINE)


def test_case_46_revoking_an_agent_in_the_middle_ends_its_stream_and_says_that_the_end_is_unknown(near: Plant) -> None:
    nginx = nginx_of(near.bench)
    nginx.suspend()
    command_id = near.enqueue(CommandKind.RELOAD)
    near.until(lambda: near.reloads(command_id))
    with near.app.app_context(), transaction():
        agents.revoke(agents.get(near.agent_id), None)
    command = near.command(command_id)
    assert (command.state, command.reason, command.outcome_known) == (S.FAILED, "LOST", False)
    near.until(lambda: "trying again in five minutes" in near.agent.log)
    nginx.resume()
    assert near.status() is AgentStatus.REVOKED
