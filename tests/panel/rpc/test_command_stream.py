"""The stream: who comes in, who stays, how commands travel and how they end."""

from __future__ import annotations

import time
from datetime import timedelta

import gevent
import grpc
import pytest
from flask import Flask
from sqlalchemy import select, text

from panel import pki
from panel.config import Config
from panel.extensions import db, transaction, wake_after_commit
from panel.models import Agent, AgentCertificate, Command, CommandKind, CommandState, ConfigContent, Revision
from panel.models.types import utcnow
from panel.rpc import command_stream
from panel.services import agents, commands, sessions
from protos import command_stream_pb2 as pb
from tests.panel.rpc.conftest import APPLIED, Join
from tests.panel.rpc.wire import Identity, Wire, enroll, hello, until


def enqueue(app: Flask, agent_id: str, kind: CommandKind = CommandKind.RELOAD) -> str:
    with app.app_context(), transaction():
        return commands.enqueue(agents.get(agent_id), kind).id


def read(app: Flask, command_id: str) -> Command:
    with app.app_context():
        command = commands.get(command_id)
        db.session.expunge(command)
        return command


def read_agent(app: Flask, agent_id: str) -> Agent:
    with app.app_context():
        agent = agents.get(agent_id)
        db.session.expunge(agent)
        return agent


def ack(command_id: str, verdict: pb.CommandAck.Verdict.ValueType = pb.CommandAck.ACCEPTED) -> pb.CommandAck:
    return pb.CommandAck(command_id=command_id, verdict=verdict)


def line(seq: int, text: str = "a line", level: pb.OutputLine.Level.ValueType = pb.OutputLine.INFO) -> pb.OutputLine:
    return pb.OutputLine(seq=seq, stage="reload", level=level, text=text)


def success(command_id: str) -> pb.CommandResult:
    return pb.CommandResult(
        command_id=command_id, outcome=pb.CommandResult.SUCCEEDED, reload=pb.ReloadResult(revision=APPLIED)
    )


# ---- who comes in ----


def refused(config: Config, identity: Identity | None) -> grpc.StatusCode:
    with Wire(config, identity) as wire:
        wire.send(hello=hello())
        assert wire.ended.wait(10)
        assert wire.error is not None
        return wire.error.code()


def test_an_agent_without_a_certificate_is_not_heard(live: Config) -> None:
    assert refused(live, None) is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_of_a_foreign_ca_is_not_heard(live: Config) -> None:
    foreign = pki.open_authority(live.state_dir / "foreign", utcnow())
    identity = Identity()
    identity.certificate_pem = foreign.sign_csr(identity.csr_pem, "7d5f4a0e-0000-4000-8000-000000000001", utcnow()).pem
    assert refused(live, identity) is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_that_the_panel_did_not_record_is_refused(live: Config, ready: tuple[str, Identity]) -> None:
    authority = pki.open_authority(live.pki_dir, utcnow())
    identity = Identity()
    identity.certificate_pem = authority.sign_csr(identity.csr_pem, ready[0], utcnow()).pem
    assert refused(live, identity) is grpc.StatusCode.PERMISSION_DENIED


def test_the_panels_own_server_certificate_opens_no_stream(live: Config) -> None:
    server = pki.open_server_identity(live.pki_dir, pki.open_authority(live.pki_dir, utcnow()), utcnow())
    identity = Identity()
    identity.certificate_pem = server.certificate_pem
    identity.key = pki._load_key(live.pki_dir / "server-key.pem")
    assert refused(live, identity) in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED}


def test_a_revoked_agent_is_refused(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    with app.app_context(), transaction():
        agents.revoke(agents.get(ready[0]), None)
    assert refused(live, ready[1]) is grpc.StatusCode.PERMISSION_DENIED


def test_revoking_closes_the_live_stream_at_once(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        begin = time.monotonic()
        with app.app_context(), transaction():
            agents.revoke(agents.get(ready[0]), None)
        assert wire.expect("goodbye").reason == pb.Goodbye.REVOKED
        assert wire.ended.wait(2)
        assert time.monotonic() - begin < 1.9  # before the session would have looked by itself


def test_a_new_join_ends_the_stream_of_the_old_identity(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        with app.app_context(), transaction():
            token = agents.new_join_token(agents.get(ready[0]), None, live)
        newcomer = Identity()
        enroll(live, token, newcomer)
        assert wire.expect("goodbye").reason == pb.Goodbye.REVOKED
        assert not read_agent(app, ready[0]).is_connected
    with Wire(live, newcomer) as wire:
        wire.greet(revision=APPLIED)


def test_a_revoked_agent_comes_back_with_a_new_token(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    with app.app_context(), transaction():
        agents.revoke(agents.get(ready[0]), None)
        token = agents.new_join_token(agents.get(ready[0]), None, live)
    assert refused(live, ready[1]) is grpc.StatusCode.PERMISSION_DENIED
    newcomer = Identity()
    enroll(live, token, newcomer)
    with Wire(live, newcomer) as wire:
        wire.greet(revision=APPLIED)


def test_a_first_message_that_is_no_hello_ends_the_call(live: Config, ready: tuple[str, Identity]) -> None:
    with Wire(live, ready[1]) as wire:
        wire.send(heartbeat=pb.Heartbeat(sequence=1))
        assert wire.ended.wait(5)
        assert wire.error is not None
        assert wire.error.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_silent_caller_is_sent_away(
    live: Config, ready: tuple[str, Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_stream, "HELLO_WITHIN", 0.2)
    with Wire(live, ready[1]) as wire:
        assert wire.ended.wait(5)
        assert wire.error is not None
        assert wire.error.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_an_agent_of_another_protocol_is_told_so_and_its_page_says_it(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with Wire(live, ready[1]) as wire:
        wire.send(hello=hello(protocol=0))
        assert wire.expect("goodbye").reason == pb.Goodbye.PROTOCOL
    assert "Update the agent" in read_agent(app, ready[0]).refused_because
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        assert read_agent(app, ready[0]).refused_because == ""


def test_a_newer_agent_is_spoken_to_in_the_panels_protocol(live: Config, ready: tuple[str, Identity]) -> None:
    with Wire(live, ready[1]) as wire:
        assert wire.greet(revision=APPLIED, protocol=99).protocol == 1


def test_an_agent_renews_its_certificate_and_both_work(live: Config, ready: tuple[str, Identity]) -> None:
    _, identity = ready
    with Wire(live, identity) as wire:
        reply = wire.stub.RenewCertificate(pb.RenewCertificateRequest(csr_pem=identity.csr_pem), timeout=5)
    renewed = Identity(identity.key)
    renewed.certificate_pem = reply.certificate_pem
    for each in (identity, renewed):
        with Wire(live, each) as wire:
            wire.greet(revision=APPLIED)


def test_a_stream_that_outlives_its_certificate_is_not_told_that_it_was_revoked(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    agent_id, identity = ready
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        reply = wire.stub.RenewCertificate(pb.RenewCertificateRequest(csr_pem=identity.csr_pem), timeout=5)
        with app.app_context(), transaction():
            row = db.session.scalars(select(AgentCertificate).order_by(AgentCertificate.issued_at)).first()
            assert row is not None
            row.not_after = utcnow()
            wake_after_commit(f"agent:{agent_id}")
        goodbye = wire.expect("goodbye")
        assert goodbye.reason == pb.Goodbye.REASON_UNSPECIFIED  # else the agent stays away for five minutes
        assert "has ended" in goodbye.text
    renewed = Identity(identity.key)
    renewed.certificate_pem = reply.certificate_pem
    with Wire(live, renewed) as wire:
        wire.greet(revision=APPLIED)


# ---- sessions ----


def test_hello_tells_the_panel_what_the_agent_is(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    with Wire(live, ready[1]) as wire:
        welcome = wire.greet(revision=APPLIED, os="Debian \x1b[31mred", boot_id="b1")
        until(lambda: read_agent(app, ready[0]).is_synced)
        agent = read_agent(app, ready[0])
        assert (agent.nginx_version, agent.http_port, agent.boot_id) == ("1.22.1", 7880, "b1")
        assert agent.os == "Debian red"
        assert agent.session_epoch == welcome.session_epoch
        assert welcome.heartbeat_interval.ToSeconds() == live.heartbeat_interval
    until(lambda: not read_agent(app, ready[0]).is_connected)


def test_the_newest_session_wins_and_the_end_of_the_old_one_does_not_remove_it(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with Wire(live, ready[1]) as old:
        old.greet(revision=APPLIED)
        with Wire(live, ready[1]) as new:
            new.greet(revision=APPLIED)
            assert old.expect("goodbye").reason == pb.Goodbye.REPLACED
            assert old.ended.wait(5)
            command_id = enqueue(app, ready[0])
            assert new.expect("command").command_id == command_id
            assert read_agent(app, ready[0]).is_connected


def test_a_late_word_of_a_replaced_session_is_dropped(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    with app.app_context(), transaction():
        epoch = agents.get(ready[0]).session_epoch
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        with app.app_context(), transaction():
            assert not sessions.seen(ready[0], epoch, utcnow())
            assert not sessions.disconnected(ready[0], epoch)
        assert read_agent(app, ready[0]).is_connected


def test_heartbeats_are_answered_and_keep_the_facts_fresh(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        stopped = pb.NginxFacts(version="1.22.1", running=False, problem="nginx is not running.")
        wire.send(heartbeat=pb.Heartbeat(sequence=7, nginx=stopped))
        assert wire.expect("heartbeat_ack").sequence == 7
        assert read_agent(app, ready[0]).nginx_problem == "nginx is not running."


def test_a_message_that_the_panel_does_not_know_keeps_the_stream(live: Config, ready: tuple[str, Identity]) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        unknown = pb.AgentMessage()
        unknown.ParseFromString(b"\xfa\x06\x02hi")  # field 111
        wire._outgoing.put(unknown)
        wire.send(heartbeat=pb.Heartbeat(sequence=1))
        wire.expect("heartbeat_ack")


# ---- commands ----


def test_a_command_travels_and_comes_back(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        command_id = enqueue(app, ready[0])
        command = wire.expect("command")
        assert command.WhichOneof("action") == "reload"
        assert read(app, command_id).state == CommandState.SENT
        wire.send(command_ack=ack(command_id))
        wire.send(command_output=pb.CommandOutput(command_id=command_id, lines=[line(1), line(2, "two\x1b[2J\r!")]))
        stored = wire.expect("result_stored")
        assert (stored.output_seq, stored.final_stored) == (2, False)
        assert read(app, command_id).state == CommandState.RUNNING
        wire.send(command_result=success(command_id))
        assert wire.expect("result_stored").final_stored
    done = read(app, command_id)
    assert done.state == CommandState.SUCCEEDED
    assert done.acked_at is not None
    with app.app_context():
        assert [row.text for row in commands.outputs(command_id)] == ["a line", "two!"]


def test_a_result_is_in_the_database_before_it_is_confirmed(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        command_id = enqueue(app, ready[0])
        wire.expect("command")
        wire.send(command_result=success(command_id))
        wire.expect("result_stored")
        assert read(app, command_id).state == CommandState.SUCCEEDED


def test_an_identical_repeat_of_a_result_is_confirmed_again(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        command_id = enqueue(app, ready[0])
        wire.expect("command")
        for _ in range(2):
            wire.send(command_result=success(command_id))
            assert wire.expect("result_stored").final_stored
        wire.send(command_result=pb.CommandResult(command_id=command_id, outcome=pb.CommandResult.FAILED))
        assert wire.expect("result_stored").final_stored
    assert read(app, command_id).state == CommandState.SUCCEEDED


def test_a_command_that_never_arrived_is_sent_again(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        command_id = enqueue(app, ready[0])
        wire.expect("command")
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        assert wire.expect("command").command_id == command_id
    assert read(app, command_id).delivery_count == 2


def test_a_command_in_the_agents_journal_is_not_sent_again(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        command_id = enqueue(app, ready[0])
        wire.expect("command")
    entry = pb.OpenCommand(command_id=command_id, state=pb.OpenCommand.FINISHED, last_output_seq=0)
    with Wire(live, ready[1]) as wire:
        welcome = wire.greet(revision=APPLIED, open_commands=(entry,))
        assert [(one.command_id, one.final_stored) for one in welcome.stored] == [(command_id, False)]
        assert wire.quiet("command")
        assert not read_agent(app, ready[0]).is_synced
        wire.send(command_result=success(command_id))
        assert wire.expect("result_stored").final_stored
        until(lambda: read_agent(app, ready[0]).is_synced)
    assert read(app, command_id).delivery_count == 1


def test_commands_of_one_resource_go_one_by_one_and_questions_beside_them(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        first, second = enqueue(app, ready[0]), enqueue(app, ready[0])
        question = enqueue(app, ready[0], CommandKind.CHECK_NGINX)
        assert [wire.expect("command").command_id for _ in range(2)] == [first, question]
        wire.send(command_result=success(first))
        assert wire.expect("command").command_id == second


def test_words_about_unknown_commands_and_other_agents_commands_are_ignored(
    app: Flask, live: Config, ready: tuple[str, Identity], join: Join
) -> None:
    other_id, _ = join("other")
    foreign = enqueue(app, other_id)
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        for command_id in (foreign, "no-such-command", "x" * 5000):
            wire.send(command_ack=ack(command_id))
            wire.send(command_output=pb.CommandOutput(command_id=command_id, lines=[line(1)]))
            wire.send(command_result=success(command_id))
            wire.send(content_request=pb.ContentRequest(command_id=command_id, sha256=["0" * 64]))
        wire.send(heartbeat=pb.Heartbeat(sequence=1))
        wire.expect("heartbeat_ack")
    assert read(app, foreign).state == CommandState.QUEUED


def test_a_journal_entry_that_the_panel_does_not_know_is_forgotten(live: Config, ready: tuple[str, Identity]) -> None:
    entry = pb.OpenCommand(command_id="7d5f4a0e-0000-4000-8000-00000000dead", state=pb.OpenCommand.FINISHED)
    with Wire(live, ready[1]) as wire:
        assert list(wire.greet(revision=APPLIED, open_commands=(entry,)).forget) == [entry.command_id]


def test_a_rejected_command_has_failed_with_the_agents_reason(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        command_id = enqueue(app, ready[0])
        wire.expect("command")
        rejection = pb.CommandAck(command_id=command_id, verdict=pb.CommandAck.REJECTED, reason="The disk is full.")
        wire.send(command_ack=rejection)
        until(lambda: read(app, command_id).state == CommandState.FAILED)
    assert (read(app, command_id).reason, read(app, command_id).error) == ("REJECTED", "The disk is full.")


def test_a_cancel_is_passed_on_and_the_agents_answer_counts(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        command_id = enqueue(app, ready[0])
        wire.expect("command")
        with app.app_context(), transaction():
            commands.cancel(commands.get(command_id), None)
        assert wire.expect("cancel_command").command_id == command_id
        wire.send(command_result=success(command_id))
        wire.expect("result_stored")
    assert read(app, command_id).state == CommandState.SUCCEEDED


def test_the_first_apply_goes_out_by_itself_with_its_files(app: Flask, live: Config, join: Join) -> None:
    agent_id, identity = join("fresh")
    with Wire(live, identity) as wire:
        wire.greet()
        command = wire.expect("command")
        bundle = command.apply_config.bundle
        assert {file.path for file in bundle.files} >= {"http.conf", "default.conf"}
        assert {content.sha256 for content in bundle.contents} == {file.sha256 for file in bundle.files}
        proof = pb.ApplyConfigResult(revision=bundle.revision)
        outcome = pb.CommandResult.SUCCEEDED
        wire.send(command_result=pb.CommandResult(command_id=command.command_id, outcome=outcome, apply_config=proof))
        assert wire.expect("result_stored").final_stored
    assert read_agent(app, agent_id).applied_revision == bundle.revision


def test_a_success_without_proof_of_the_revision_is_not_believed(app: Flask, live: Config, join: Join) -> None:
    agent_id, identity = join("fresh")
    with Wire(live, identity) as wire:
        wire.greet()
        command_id = wire.expect("command").command_id
        proof = pb.ApplyConfigResult(revision="f" * 64)
        outcome = pb.CommandResult.SUCCEEDED
        wire.send(command_result=pb.CommandResult(command_id=command_id, outcome=outcome, apply_config=proof))
        wire.expect("result_stored")
    assert read(app, command_id).state == CommandState.FAILED
    assert not read(app, command_id).outcome_known
    assert read_agent(app, agent_id).applied_revision == ""


def test_contents_are_given_in_pieces_and_only_those_of_the_command(app: Flask, live: Config, join: Join) -> None:
    _, identity = join("fresh")
    with Wire(live, identity) as wire:
        wire.greet()
        command = wire.expect("command")
        file = command.apply_config.bundle.files[0]
        wanted = [file.sha256, "0" * 64]
        wire.send(content_request=pb.ContentRequest(command_id=command.command_id, sha256=wanted))
        piece = wire.expect("content")
        assert (piece.sha256, len(piece.data), piece.last) == (file.sha256, file.size, True)
        assert wire.expect("content").error


def test_a_queued_command_waits_for_its_time(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        with app.app_context(), transaction():
            due_at = utcnow() + timedelta(seconds=0.4)
            commands.enqueue(agents.get(ready[0]), CommandKind.RELOAD, not_before=due_at)
        begin = time.monotonic()
        wire.expect("command")
        assert time.monotonic() - begin > 0.3


def test_a_command_that_cannot_be_prepared_fails_and_lets_the_next_one_go(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with app.app_context(), transaction():
        agent = agents.get(ready[0])
        broken = commands.enqueue(agent, CommandKind.TEST_CONFIG, payload={"revision": "no manifest"}).id
        following = commands.enqueue(agent, CommandKind.RELOAD).id
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        assert wire.expect("command").command_id == following
    assert (read(app, broken).state, read(app, broken).reason) == (CommandState.FAILED, "INTERNAL")


def test_a_result_that_cannot_be_used_is_confirmed_and_not_repeated_for_ever(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        with app.app_context(), transaction():
            db.session.add(ConfigContent(sha256="0" * 64, text=""))
            db.session.add(Revision(agent_id=ready[0], revision=APPLIED, manifest={"http.conf": "0" * 64}))
            payload = {"exact": True, "revision": APPLIED}
            command_id = commands.enqueue(agents.get(ready[0]), CommandKind.APPLY_CONFIG, payload=payload).id
        wire.expect("command")
        with app.app_context(), transaction():
            commands.get(command_id).payload = {"revision": APPLIED, "generation": "none"}
        proof = pb.ApplyConfigResult(revision=APPLIED)
        outcome = pb.CommandResult.SUCCEEDED
        wire.send(command_result=pb.CommandResult(command_id=command_id, outcome=outcome, apply_config=proof))
        assert wire.expect("result_stored").final_stored
    assert (read(app, command_id).reason, read(app, command_id).outcome_known) == ("INTERNAL", False)


def test_a_fault_of_the_database_ends_the_stream_unconfirmed_and_says_nothing_of_itself(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        command_id = enqueue(app, ready[0])
        wire.expect("command")
        with app.app_context():
            db.session.execute(text("DROP TABLE command_output"))
            db.session.commit()
        wire.send(command_output=pb.CommandOutput(command_id=command_id, lines=[line(1)]))
        goodbye = wire.expect("goodbye")
        assert "command_output" not in goodbye.text
        assert wire.ended.wait(5)
    assert read(app, command_id).state == CommandState.SENT


def test_waiting_for_a_command_ends_with_its_result(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    with Wire(live, ready[1]) as wire:
        wire.greet(revision=APPLIED)
        command_id = enqueue(app, ready[0])

        def answer() -> None:
            wire.send(command_result=success(wire.expect("command").command_id))

        gevent.spawn(answer)
        with app.app_context():
            begin = time.monotonic()
            assert commands.wait(command_id, 30).has_succeeded
            assert time.monotonic() - begin < 15


def test_waiting_has_a_deadline(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    command_id = enqueue(app, ready[0])
    with app.app_context():
        assert commands.wait(command_id, 0.2).state == CommandState.QUEUED
