"""What an agent says, message by message: stored first, confirmed after the commit.
May import: protos, panel.rpc, panel.services, panel.models and below, panel.failpoints."""

from __future__ import annotations

import logging
from typing import Protocol

from flask import Flask
from sqlalchemy.exc import OperationalError

from panel import failpoints
from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandState
from panel.models.types import utcnow
from panel.rpc import certificate_states, docker_states, messages, orders, results
from panel.rpc.text import clean
from panel.services import (
    agent_jobs,
    bundles,
    certificate_reports,
    context,
    docker_reports,
    drift,
    outcomes,
    sessions,
    transitions,
)
from panel.services.sessions import NginxFacts
from panel.services.transitions import CommandOutcome
from protos import command_stream_pb2 as pb

log = logging.getLogger(__name__)

MAX_REQUESTED = 5000  # contents in one request


class Session(Protocol):
    """What a message needs of the stream it came by."""

    agent_id: str
    epoch: int

    def send(self, message: pb.PanelMessage) -> None:
        """Queues a message for the agent."""

    def note_heartbeat(self, facts: NginxFacts | None) -> bool:
        """The agent's work loop runs; answers whether the facts are new and must be stored."""

    def note_ack(self, command_id: str) -> None:
        """The agent holds this command."""

    def note_result(self, command_id: str) -> None:
        """The result of this command is stored."""


def receive(app: Flask, session: Session, message: pb.AgentMessage) -> None:
    """Handles one message in an application context of its own. Raises what the database raises."""
    kind = message.WhichOneof("body")
    with app.app_context(), context.coming_from(context.AGENT + session.agent_id):
        if kind == "heartbeat":
            _heartbeat(session, message.heartbeat)
        elif kind == "command_ack":
            _ack(session, message.command_ack)
        elif kind == "command_output":
            _output(session, message.command_output)
        elif kind == "command_result":
            _result(session, message.command_result)
        elif kind == "content_request":
            _contents(session, message.content_request)
        elif kind == "report":
            _report(session, message.report)
        elif kind == "command_started":
            _started(session, message.command_started)
        else:
            log.warning("agent %s sent %s, which means nothing here", session.agent_id, kind or "an unknown message")


def _heartbeat(session: Session, heartbeat: pb.Heartbeat) -> None:
    session.send(pb.PanelMessage(heartbeat_ack=pb.HeartbeatAck(sequence=heartbeat.sequence)))
    facts = messages.nginx_facts(heartbeat.nginx) if heartbeat.HasField("nginx") else None
    if session.note_heartbeat(facts):
        _note_alive(session, facts)


def _note_alive(session: Session, facts: NginxFacts | None) -> None:
    with transaction():
        sessions.seen(session.agent_id, session.epoch, utcnow(), facts)


def _report(session: Session, report: pb.Report) -> None:
    _note_alive(session, messages.nginx_facts(report.nginx) if report.HasField("nginx") else None)
    if report.HasField("drift"):
        with transaction():
            if sessions.is_current(session.agent_id, session.epoch):
                agent = db.session.get_one(Agent, session.agent_id)
                drift.report(agent, messages.edits(report.drift), report.drift.more, utcnow())
    if report.HasField("certificates"):
        with transaction():
            if sessions.is_current(session.agent_id, session.epoch):
                _certificates(session.agent_id, report.certificates)
    if report.HasField("docker") or report.HasField("upstreams"):
        with transaction():
            if sessions.is_current(session.agent_id, session.epoch):
                _docker(session.agent_id, report)


def _certificates(agent_id: str, report: pb.CertificateReport) -> None:
    agent = db.session.get_one(Agent, agent_id)
    folder, problem = clean(report.letsencrypt_dir, 512), clean(report.problem)
    certificate_reports.observe(agent, certificate_states.states(report), folder, problem, utcnow())


def _docker(agent_id: str, report: pb.Report) -> None:
    agent, now = db.session.get_one(Agent, agent_id), utcnow()
    if report.HasField("docker"):
        docker_reports.observe(agent, docker_states.report(report.docker), now)
    if report.HasField("upstreams"):
        docker_reports.observe_upstreams(agent, docker_states.upstreams(report.upstreams), now)


def _started(session: Session, message: pb.CommandStarted) -> None:
    now = utcnow()
    started = messages.started_command(message, message.command_id, now)
    if started is None:
        log.warning("agent %s began something that no agent begins by itself", session.agent_id)
        return
    with transaction():
        if sessions.is_current(session.agent_id, session.epoch):
            agent_jobs.adopt(db.session.get_one(Agent, session.agent_id), started, now)


def _ack(session: Session, ack: pb.CommandAck) -> None:
    with transaction():
        command = _own_command(session, ack.command_id)
        if command is None:
            return
        if ack.verdict == pb.CommandAck.REJECTED:
            sentence = clean(ack.reason) or "The agent refused this job and ran nothing."
            outcomes.record(command, CommandOutcome(CommandState.FAILED, "REJECTED", sentence), utcnow())
        else:
            transitions.acknowledge(command, utcnow())
    session.note_ack(ack.command_id)


def _output(session: Session, output: pb.CommandOutput) -> None:
    now = utcnow()
    with transaction():
        command = _own_command(session, output.command_id)
        if command is None:
            return
        stored = transitions.append_output(command, messages.output_lines(output.lines, now), now)
    session.note_ack(output.command_id)
    _confirm(session, output.command_id, stored, is_final=False)


def _result(session: Session, result: pb.CommandResult) -> None:
    now = utcnow()
    with transaction():
        command = _own_command(session, result.command_id)
        if command is None:
            return
        if result.lines:
            transitions.append_answer(command, messages.output_lines(result.lines, now), now)
        _store_result(command, result)
        stored = command.last_output_seq
        failpoints.hit("before_commit")
    failpoints.hit("after_commit")
    session.note_result(result.command_id)
    failpoints.hit("before_ack")
    _confirm(session, result.command_id, stored, is_final=True)


def _store_result(command: Command, result: pb.CommandResult) -> None:
    """Stores the end and its consequences together; a fault in the consequences must not make the agent repeat it."""
    try:
        with db.session.begin_nested():
            outcomes.record(command, results.outcome(command, result), utcnow())
    except OperationalError:
        raise  # of the database and not of this result: the agent repeats it
    except Exception:  # the boundary of a command
        log.exception("the result of command %s could not be used", command.id)
        sentence = "The agent reported the end of this job, but the panel could not use it; its log says why."
        fault = CommandOutcome(CommandState.FAILED, "INTERNAL", sentence, outcome_known=False)
        transitions.finish(command, fault, utcnow())


def _contents(session: Session, request: pb.ContentRequest) -> None:
    command = db.session.get(Command, request.command_id)
    if command is None or command.agent_id != session.agent_id:
        log.warning("agent %s asked for contents of command %r, not its own", session.agent_id, request.command_id)
        return
    own = set(bundles.manifest_for(command).values())
    texts = bundles.contents(sha256 for sha256 in request.sha256[:MAX_REQUESTED] if sha256 in own)
    db.session.rollback()  # the connection is not kept while the agent reads
    for sha256 in request.sha256[:MAX_REQUESTED]:
        if sha256 not in texts:
            error = "The panel does not have this content any more."
            session.send(pb.PanelMessage(content=pb.Content(sha256=sha256[:64], last=True, error=error)))
            continue
        for piece in orders.chunks(sha256, texts[sha256]):
            session.send(piece)


def _own_command(session: Session, command_id: str) -> Command | None:
    """The command, if it is this agent's and the session still the newest; anything else is logged and ignored."""
    command = db.session.get(Command, command_id) if len(command_id) <= 36 else None
    if command is None or command.agent_id != session.agent_id:
        log.warning("agent %s spoke of command %r, which is not its own", session.agent_id, command_id[:36])
        return None
    if not sessions.is_own(command.agent, session.epoch):
        log.info("agent %s spoke in a session that a newer one has replaced", session.agent_id)
        return None
    return command


def _confirm(session: Session, command_id: str, output_seq: int, *, is_final: bool) -> None:
    stored = pb.ResultStored(command_id=command_id, output_seq=output_seq, final_stored=is_final)
    session.send(pb.PanelMessage(result_stored=stored))
