"""The agent is killed, stopped or stuck: each command is run once, or its end is said to be unknown."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from agent.watchdog import EXIT_STUCK
from panel.models import AgentStatus, CommandKind, CommandState
from tests.agent.far_side import AgentProcess
from tests.faults.plant import Plant, nginx_of

S = CommandState


@pytest.mark.parametrize(
    ("failpoint", "state", "runs"),
    [
        pytest.param("after_frame_read", S.SUCCEEDED, 1, id="case_4_before_it_is_journalled"),
        pytest.param("after_journal", S.SUCCEEDED, 1, id="case_5_journalled_and_not_acknowledged"),
        pytest.param("after_ack", S.SUCCEEDED, 1, id="acknowledged_and_not_started"),
        pytest.param("after_start", S.FAILED, 0, id="case_6_in_the_middle"),
        pytest.param("after_result", S.SUCCEEDED, 1, id="case_7_ended_and_not_reported"),
    ],
)
def test_a_command_whose_agent_is_killed_runs_once_or_is_said_to_be_unknown(
    near: Plant, failpoint: str, state: CommandState, runs: int
) -> None:
    near.agent.kill()
    near.agent.start(AGENT_FAILPOINT=failpoint)
    near.until_online()
    command_id = near.enqueue()
    near.agent.wait_dead()
    near.agent.start()
    command = near.until_ended(command_id)
    assert (command.state, near.reloads(command_id)) == (state, runs)
    assert command.outcome_known is (state == S.SUCCEEDED)
    near.until_online()


def test_an_apply_whose_agent_is_killed_as_it_starts_is_run_by_the_next_start(near: Plant) -> None:
    near.agent.kill()
    near.agent.start(AGENT_FAILPOINT="after_start")
    near.until_online()
    command_id = near.enqueue(CommandKind.APPLY_CONFIG)
    near.agent.wait_dead()
    near.agent.start()
    assert near.until_ended(command_id).state == S.SUCCEEDED


def test_case_10_a_stopped_agent_is_shown_as_away_and_its_commands_have_not_failed(near: Plant) -> None:
    os.kill(near.agent.pid, signal.SIGSTOP)
    command_id = near.enqueue()
    near.until_away()
    near.until(lambda: near.status() is AgentStatus.STALE)
    near.until(lambda: near.status() is AgentStatus.OFFLINE)
    assert near.command(command_id).state == S.SENT
    os.kill(near.agent.pid, signal.SIGCONT)
    command = near.until_ended(command_id)
    assert (command.state, near.reloads(command_id)) == (S.SUCCEEDED, 1)
    near.until(lambda: near.status() is AgentStatus.ONLINE)


def test_case_11_an_agent_whose_loop_is_stuck_is_left_and_ends_itself(near: Plant) -> None:
    near.agent.kill()
    near.agent.start(AGENT_FAILPOINT="after_frame_read:hang")
    near.until_online()
    command_id = near.enqueue()
    near.until_away()
    assert near.agent.wait_dead() == EXIT_STUCK
    assert "loop has not turned" in near.agent.log
    near.agent.start()
    command = near.until_ended(command_id)
    assert (command.state, near.reloads(command_id)) == (S.SUCCEEDED, 1)


def test_an_agent_that_was_stopped_as_a_whole_is_not_taken_for_stuck(near: Plant) -> None:
    os.kill(near.agent.pid, signal.SIGSTOP)
    near.until(lambda: near.status() is AgentStatus.OFFLINE)  # longer than its watchdog waits
    os.kill(near.agent.pid, signal.SIGCONT)
    near.until(lambda: near.status() is AgentStatus.ONLINE)
    assert "loop has not turned" not in near.agent.log


def test_case_51_an_agent_that_is_told_to_stop_in_the_middle_is_offline_at_once_and_finishes_later(near: Plant) -> None:
    nginx = nginx_of(near.bench)
    nginx.suspend()  # the reload is not done, so that the command stays in the middle
    command_id = near.enqueue(CommandKind.APPLY_CONFIG)
    near.until(lambda: "Waiting until nginx serves" in "\n".join(near.lines(command_id)))
    assert near.agent.stop() < 5
    near.until_away()
    assert near.command(command_id).state == S.RUNNING
    nginx.resume()
    near.agent.start()
    assert near.until_ended(command_id).state == S.SUCCEEDED


def test_two_agents_do_not_run_on_one_journal(near: Plant) -> None:
    second = AgentProcess(near.bench.config).start()
    assert second.wait_dead() == 1
    assert "Another agent runs with" in second.log
    near.until(lambda: near.status() is AgentStatus.ONLINE)


def test_case_50_commands_of_a_journal_that_was_damaged_have_an_unknown_end(near: Plant) -> None:
    nginx = nginx_of(near.bench)
    nginx.suspend()
    command_id = near.enqueue()
    near.until(lambda: near.reloads(command_id))
    near.agent.kill()
    nginx.resume()
    for path in near.bench.config.state_dir.glob("journal.sqlite3*"):  # its write-ahead log too, which would mend it
        path.write_bytes(b"not a database at all" * 1000)
    near.agent.start()
    command = near.until_ended(command_id)
    assert (command.state, command.reason, command.outcome_known) == (S.FAILED, "LOST", False)
    assert "journal was damaged" in near.agent.log
    assert list(near.bench.config.state_dir.glob("journal.sqlite3.corrupt-*"))
    following = near.until_ended(near.enqueue())
    assert following.state == S.SUCCEEDED


def test_case_50_a_command_that_a_lost_journal_may_have_held_is_not_run_again(near: Plant) -> None:
    near.until_ended(near.enqueue())
    near.agent.kill()
    near.agent.start(AGENT_FAILPOINT="after_journal")
    near.until_online()
    command_id = near.enqueue()
    near.agent.wait_dead()  # journalled, and the panel does not know
    for path in near.bench.config.state_dir.glob("journal.sqlite3*"):
        path.unlink()
    near.agent.start()
    command = near.until_ended(command_id)
    assert (command.state, command.reason, command.outcome_known) == (S.FAILED, "LOST", False)


def test_case_40_an_agent_that_was_restored_from_an_old_copy_is_brought_up_to_date(near: Plant) -> None:
    near.agent.stop()
    copy = near.bench.config.state_dir.with_name("copy")
    shutil.copytree(near.bench.config.state_dir, copy, symlinks=True)
    near.agent.start()
    near.until_online()
    command_id = near.until_ended(near.enqueue()).id
    near.agent.stop()
    near.bench.stop()
    shutil.rmtree(near.bench.config.state_dir)
    copy.rename(near.bench.config.state_dir)
    near.bench.start()
    near.agent.start()
    near.until_online()
    assert near.command(command_id).state == S.SUCCEEDED
    assert near.until_ended(near.enqueue()).state == S.SUCCEEDED
    assert near.row().reported_revision == near.row().applied_revision


def test_case_25_cancelling_a_test_kills_nginx_s_process_group(near: Plant, tmp_path: Path) -> None:
    slow = tmp_path / "nginx"
    real = shutil.which("nginx")
    pid_file = tmp_path / "pid"
    script = f'case "$*" in *-t*) echo $$ > {pid_file}; exec sleep 600;; esac\nexec {real} "$@"\n'
    slow.write_text(f"#!/bin/sh\n{script}")
    slow.chmod(0o755)
    near.agent.kill()
    near.agent.start(AGENT_NGINX_BINARY=str(slow))
    near.until_online()
    command_id = near.test_config()
    near.until(pid_file.exists)
    near.until(lambda: pid_file.read_text().strip())
    near.cancel(command_id)
    assert near.until_ended(command_id).state == S.CANCELLED
    near.until(lambda: not psutil.pid_exists(int(pid_file.read_text())))


def test_case_26_a_cancel_that_comes_too_late_leaves_the_true_end(near: Plant) -> None:
    near.agent.kill()
    near.agent.start(AGENT_FAILPOINT="after_result")
    near.until_online()
    command_id = near.enqueue()
    near.agent.wait_dead()  # ended, and the panel does not know
    near.cancel(command_id)
    near.agent.start()
    assert near.until_ended(command_id).state == S.SUCCEEDED


def test_case_27_an_apply_after_its_switch_cannot_be_cancelled(near: Plant) -> None:
    nginx = nginx_of(near.bench)
    nginx.suspend()
    command_id = near.enqueue(CommandKind.APPLY_CONFIG)
    near.until(lambda: "Waiting until nginx serves" in "\n".join(near.lines(command_id)))
    near.cancel(command_id)
    nginx.resume()
    assert near.until_ended(command_id).state == S.SUCCEEDED
