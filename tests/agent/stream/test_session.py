"""The agent process on a real wire: what it acknowledges, repeats, survives and refuses.
May import: protos, agent, tests.agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.identity import load, save
from protos import command_stream_pb2 as pb
from tests.agent.conftest import Bench, host, make_bundle, wait_for
from tests.agent.far_side import AgentProcess, FarSide, WellKnown, command, sha256, wire_bundle


@pytest.fixture
def far_side() -> Iterator[FarSide]:
    far_side = FarSide(heartbeat=1.5)  # a loaded machine may pause for more than twice of less
    yield far_side
    far_side.stop()


@pytest.fixture
def agent_process(bench: Bench, far_side: FarSide) -> Iterator[AgentProcess]:
    """A joined agent beside a running nginx."""
    save(bench.config.identity_dir, far_side.identity())
    process = AgentProcess(bench.config)
    yield process.start()
    process.stop()


def test_an_agent_says_hello_applies_and_repeats_nothing(
    bench: Bench, far_side: FarSide, agent_process: AgentProcess
) -> None:
    stream = far_side.next_stream()
    hello = stream.seen[0].hello
    assert hello.protocol == 1
    assert hello.nginx.running
    assert hello.nginx.applied_revision == ""
    assert hello.nginx.http_port == bench.config.http_port
    assert hello.boot_id

    bundle, contents = make_bundle(bench.config, {"1-a.example": host(bench.config, "a.example", "live")})
    first = command("c1", apply_config=pb.ApplyConfig(bundle=wire_bundle(bundle)))
    stream.send(command=first)
    ack = stream.expect("command_ack").command_ack
    assert (ack.command_id, ack.verdict) == ("c1", pb.CommandAck.ACCEPTED)
    asked = stream.expect("content_request").content_request
    assert set(asked.sha256) == set(contents) - {sha256("server_tokens off;\n")}  # the first release has it
    for key, data in contents.items():
        stream.send(content=pb.Content(sha256=key, offset=0, data=data[:10]))
        stream.send(content=pb.Content(sha256=key, offset=10, data=data[10:], last=True))
    result = stream.result()
    assert result.outcome == pb.CommandResult.SUCCEEDED
    assert result.apply_config.revision == bundle.revision
    assert [line.seq for line in stream.lines()] == list(range(1, result.last_output_seq + 1))
    assert bench.get("a.example") == (200, "live")

    # Sent again, with other times, before it was confirmed: not run again, and the same is told again.
    stream.seen.clear()
    stream.send(command=command("c1", seconds=10, apply_config=pb.ApplyConfig(bundle=wire_bundle(bundle, contents))))
    assert stream.expect("command_ack").command_ack.verdict == pb.CommandAck.DUPLICATE
    assert stream.result() == result
    assert [line.seq for line in stream.lines()] == list(range(1, result.last_output_seq + 1))

    # Another payload under the same id is refused and run by nobody.
    stream.send(command=command("c1", reload=pb.Reload()))
    assert stream.expect("command_ack").command_ack.verdict == pb.CommandAck.REJECTED


def test_output_and_result_come_again_after_each_reconnect_until_they_are_stored(
    bench: Bench, far_side: FarSide, agent_process: AgentProcess
) -> None:
    stream = far_side.next_stream()
    stream.send(command=command("c1", reload=pb.Reload()))
    result = stream.result()
    assert result.outcome == pb.CommandResult.SUCCEEDED
    stream.cut()

    stream = far_side.next_stream()
    (opened,) = stream.seen[0].hello.open_commands
    assert (opened.command_id, opened.state) == ("c1", pb.OpenCommand.FINISHED)
    assert opened.last_output_seq == result.last_output_seq
    assert stream.result() == result
    assert stream.lines()
    stream.confirm(result)
    stream.expect("heartbeat")
    stream.cut()

    stream = far_side.next_stream()
    assert not stream.seen[0].hello.open_commands


def test_a_killed_agent_tells_what_it_had_not_told(
    bench: Bench, far_side: FarSide, agent_process: AgentProcess
) -> None:
    stream = far_side.next_stream()
    stream.send(command=command("c1", reload=pb.Reload()))
    stream.expect("command_ack")
    result = stream.result()
    agent_process.kill()
    boot_id = stream.seen[0].hello.boot_id
    agent_process.start()
    stream = far_side.next_stream()
    assert stream.seen[0].hello.boot_id != boot_id
    assert stream.result() == result
    stream.send(command=command("c1", reload=pb.Reload()))
    assert stream.expect("command_ack").command_ack.verdict == pb.CommandAck.DUPLICATE


def test_an_apply_that_is_killed_while_it_fetches_is_finished_by_the_next_start(
    bench: Bench, far_side: FarSide, agent_process: AgentProcess
) -> None:
    stream = far_side.next_stream()
    bundle, contents = make_bundle(bench.config, {"1-a.example": host(bench.config, "a.example", "live")})
    stream.send(command=command("c1", apply_config=pb.ApplyConfig(bundle=wire_bundle(bundle))))
    stream.expect("content_request")
    agent_process.kill()
    agent_process.start()
    stream = far_side.next_stream(welcome=False)
    assert [m.WhichOneof("body") for m in stream.seen] == ["hello"]  # the apply runs already, and waits for Welcome
    assert [opened.command_id for opened in stream.seen[0].hello.open_commands] == ["c1"]
    stream.send(welcome=far_side.welcome())
    for key in stream.expect("content_request").content_request.sha256:
        stream.send(content=pb.Content(sha256=key, data=contents[key], last=True))
    assert stream.result().outcome == pb.CommandResult.SUCCEEDED
    assert bench.get("a.example") == (200, "live")


def test_contents_are_asked_for_again_after_a_lost_connection(
    bench: Bench, far_side: FarSide, agent_process: AgentProcess
) -> None:
    stream = far_side.next_stream()
    bundle, contents = make_bundle(bench.config)
    stream.send(command=command("c1", apply_config=pb.ApplyConfig(bundle=wire_bundle(bundle))))
    stream.expect("content_request")
    stream.cut()
    stream = far_side.next_stream()
    for key in stream.expect("content_request").content_request.sha256:
        stream.send(content=pb.Content(sha256=key, data=contents[key], last=True))
    assert stream.result().outcome == pb.CommandResult.SUCCEEDED


def test_what_came_too_late_is_unknown_or_was_cancelled_is_not_run(
    bench: Bench, far_side: FarSide, agent_process: AgentProcess
) -> None:
    stream = far_side.next_stream()
    stream.send(command=command("late", seconds=0, reload=pb.Reload()))
    assert stream.result().outcome == pb.CommandResult.EXPIRED
    stream.send(command=command("new"))
    assert stream.result().outcome == pb.CommandResult.UNSUPPORTED
    bundle, _ = make_bundle(bench.config)
    stream.send(command=command("waits", apply_config=pb.ApplyConfig(bundle=wire_bundle(bundle))))
    stream.expect("content_request")
    stream.send(command=command("behind", seq=2, reload=pb.Reload()))
    stream.send(cancel_command=pb.CancelCommand(command_id="behind"))
    stream.send(cancel_command=pb.CancelCommand(command_id="waits"))
    results = [stream.result(), stream.result()]
    assert [(r.command_id, r.outcome) for r in results] == [
        ("waits", pb.CommandResult.CANCELLED),
        ("behind", pb.CommandResult.CANCELLED),
    ]
    assert bench.nginx.revision() == "none"


def test_a_question_is_answered_while_an_apply_waits(
    bench: Bench, far_side: FarSide, agent_process: AgentProcess
) -> None:
    stream = far_side.next_stream()
    bundle, _ = make_bundle(bench.config)
    stream.send(command=command("apply", apply_config=pb.ApplyConfig(bundle=wire_bundle(bundle))))
    stream.expect("content_request")
    stream.send(command=command("question", seq=2, check_nginx=pb.CheckNginx()))
    result = stream.result()
    assert result.command_id == "question"
    assert result.check_nginx.workers > 0
    assert [line.seq for line in result.lines] == [1]


def test_a_question_leaves_nothing_behind(bench: Bench, far_side: FarSide, agent_process: AgentProcess) -> None:
    stream = far_side.next_stream()
    stream.send(command=command("question", check_nginx=pb.CheckNginx()))
    stream.result()
    assert not [message for message in stream.seen if message.HasField("command_ack")]
    stream.cut()

    stream = far_side.next_stream()
    assert not stream.seen[0].hello.open_commands


def test_a_panel_that_stops_answering_heartbeats_is_left_and_called_again(
    far_side: FarSide, agent_process: AgentProcess
) -> None:
    stream = far_side.next_stream()
    stream.expect("heartbeat")
    far_side.answers_heartbeats = False
    far_side.next_stream()
    assert "did not answer the heartbeats" in agent_process.log


def test_a_revoked_agent_stays_away(far_side: FarSide, agent_process: AgentProcess) -> None:
    stream = far_side.next_stream()
    stream.send(goodbye=pb.Goodbye(reason=pb.Goodbye.REVOKED, text="This agent was revoked."))
    stream.outgoing.put(None)
    wait_for(lambda: "this agent was revoked; trying again in five minutes" in agent_process.log)
    assert far_side.streams.empty()


def test_an_agent_stops_cleanly_within_five_seconds_even_while_an_apply_waits(
    bench: Bench, far_side: FarSide, agent_process: AgentProcess
) -> None:
    stream = far_side.next_stream()
    bundle, contents = make_bundle(bench.config)
    stream.send(command=command("c1", apply_config=pb.ApplyConfig(bundle=wire_bundle(bundle))))
    stream.expect("content_request")
    assert agent_process.stop() < 5
    agent_process.start()
    stream = far_side.next_stream()
    for key in stream.expect("content_request").content_request.sha256:
        stream.send(content=pb.Content(sha256=key, data=contents[key], last=True))
    assert stream.result().outcome == pb.CommandResult.SUCCEEDED


def test_a_certificate_past_two_thirds_of_its_life_is_renewed(bench: Bench, far_side: FarSide) -> None:
    old = far_side.identity(days=30, age=21)
    save(bench.config.identity_dir, old)
    process = AgentProcess(bench.config).start()
    far_side.next_stream()
    wait_for(lambda: far_side.renewals)
    wait_for(lambda: load(bench.config.identity_dir) not in {None, old})
    process.stop()
    renewed = load(bench.config.identity_dir)
    assert renewed is not None
    assert renewed.key_pem != old.key_pem
    process.start()
    far_side.next_stream()
    process.stop()


def test_an_agent_with_a_token_joins_by_itself_and_comes_online(bench: Bench, far_side: FarSide) -> None:
    page = WellKnown(far_side)
    far_side.lose_enrollment_replies = 1
    process = AgentProcess(bench.config, AGENT_PANEL_URL=page.url, AGENT_JOIN_TOKEN=page.token).start()
    far_side.next_stream()
    process.stop()
    page.stop()
    assert len(far_side.enrolled_keys) == 2
    assert len(set(far_side.enrolled_keys)) == 1
    stored = bench.config.identity_dir / "identity.json"
    assert stored.stat().st_mode & 0o777 == 0o600
    assert page.token not in process.log


def test_messages_of_a_newer_panel_are_ignored(far_side: FarSide, agent_process: AgentProcess) -> None:
    stream = far_side.next_stream()
    stream.outgoing.put(pb.PanelMessage())
    stream.expect("heartbeat")
    assert far_side.streams.empty()


@pytest.mark.parametrize("stage", ["test", "switch", "prove"])
def test_an_apply_that_is_killed_at_any_stage_ends_as_applied_or_rolled_back(
    bench: Bench, far_side: FarSide, agent_process: AgentProcess, stage: str
) -> None:
    stream = far_side.next_stream()
    hosts = {f"{n}-h{n}.example": host(bench.config, f"h{n}.example") for n in range(150)}
    bundle, contents = make_bundle(bench.config, hosts)
    stream.send(command=command("c1", apply_config=pb.ApplyConfig(bundle=wire_bundle(bundle, contents))))
    wait_for(lambda: bench.journal.last_apply("c1") is not None)
    wait_for(lambda: _phase(bench) in {stage, "applied"})
    agent_process.kill()
    agent_process.start()
    result = far_side.next_stream().result(30)
    assert result.outcome == pb.CommandResult.SUCCEEDED
    assert result.apply_config.revision == bench.nginx.revision() == bundle.revision
    assert bench.get("h149.example") == (200, "hello")
    assert _phase(bench) == "applied"


def _phase(bench: Bench) -> str:
    entry = bench.journal.last_apply("c1")
    return entry.phase if entry else ""
