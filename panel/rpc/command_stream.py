"""The CommandStream service: who comes in, Hello and Welcome, and the sessions that live here.
May import: protos, panel.rpc, panel.services, panel.pki and below."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import gevent
import grpc
from flask import Flask

from panel import metrics
from panel.config import Config
from panel.errors import Invalid
from panel.extensions import db, stopping, transaction
from panel.models import Agent
from panel.models.types import utcnow
from panel.pki import Authority
from panel.rpc import identity, messages
from panel.rpc.session import AgentSession
from panel.rpc.text import duration, timestamp
from panel.services import certificate_jobs, clones, deployments, enrollments, outcomes, recovery, sessions
from panel.services.context import AGENT, coming_from
from panel.services.recovery import JournalState, Recovery
from protos import OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION, command_stream_pb2_grpc
from protos import command_stream_pb2 as pb

log = logging.getLogger(__name__)

HELLO_WITHIN = 10.0  # seconds
RETURNS_PER_SECOND = 50  # of agents, after the panel has stopped
MAX_SPREAD = 30.0  # seconds


@dataclass(frozen=True)
class Opening:
    """A session that the database knows: its epoch, the Welcome for it, and whose results will be repeated."""

    epoch: int
    welcome: pb.Welcome
    replaying: set[str]


class CommandStreamServicer(command_stream_pb2_grpc.CommandStreamServicer):
    """One greenlet per stream. The registry holds the sessions of this process; the database knows who is current."""

    def __init__(self, app: Flask, authority: Authority) -> None:
        self._app = app
        self._authority = authority
        self._sessions: set[AgentSession] = set()

    def Connect(  # noqa: N802 - the contract's name
        self, request_iterator: Iterator[pb.AgentMessage], context: grpc.ServicerContext
    ) -> Iterator[pb.PanelMessage]:
        """Holds one agent's stream: Hello, Welcome, then whatever is due until either side ends it."""
        # First of all: a malformed message before the initial metadata would leave the call open for ever.
        context.send_initial_metadata(())
        agent_id, serial = identity.admit(self._app, context)
        hello = _receive_hello(request_iterator, context)
        if hello is None:
            return
        protocol = min(hello.protocol, PROTOCOL_VERSION)
        try:
            opening = self._open(agent_id, hello, protocol)
        except Exception:  # the boundary of a stream message
            log.exception("the session of agent %s could not be opened", agent_id)
            context.abort(grpc.StatusCode.UNAVAILABLE, "The panel has a problem of its own. Try again.")
        if isinstance(opening, pb.Goodbye):
            log.error("agent %s is not let in: %s", agent_id, opening.text)
            yield pb.PanelMessage(goodbye=opening)
            return
        session = AgentSession(self._app, context, agent_id, serial, opening.epoch)
        self._sessions.add(session)
        _count(opening)
        try:
            yield pb.PanelMessage(welcome=opening.welcome)
            if stopping.is_set():
                session.close(pb.Goodbye.SHUTDOWN, "The panel is stopping.", 1.0)
            session.begin(request_iterator, opening.replaying)
            yield from session.outgoing()
        finally:
            self._sessions.discard(session)
            metrics.sessions.dec()
            session.end()

    def RenewCertificate(  # noqa: N802 - the contract's name
        self, request: pb.RenewCertificateRequest, context: grpc.ServicerContext
    ) -> pb.RenewCertificateReply:
        """A new certificate for the caller, whose present one TLS and the database have found good."""
        agent_id, _ = identity.admit(self._app, context)
        try:
            with self._app.app_context(), transaction():
                certificate_pem = enrollments.renew(agent_id, request.csr_pem, self._authority, utcnow())
        except Invalid as error:
            refusal, sentence = grpc.StatusCode.INVALID_ARGUMENT, error.message
        except Exception:  # the boundary of a request
            log.exception("the certificate of agent %s could not be renewed", agent_id)
            refusal, sentence = grpc.StatusCode.UNAVAILABLE, "The panel has a problem of its own. Try again."
        else:
            return pb.RenewCertificateReply(certificate_pem=certificate_pem, ca_pem=self._authority.pem)
        context.abort(refusal, sentence)
        raise AssertionError("abort() does not return")

    def streams(self) -> Iterable[AgentSession]:
        """The sessions of this process, as they are now."""
        return tuple(self._sessions)

    def say_goodbye(self) -> None:
        """Ends every stream because the panel stops; agents come back a second later, many of them spread out."""
        spread = min(MAX_SPREAD, len(self._sessions) / RETURNS_PER_SECOND)
        for session in tuple(self._sessions):
            wait = 1.0 + random.uniform(0.0, spread)  # noqa: S311 - jitter, not a secret
            session.close(pb.Goodbye.SHUTDOWN, "The panel is stopping.", wait)

    def _open(self, agent_id: str, hello: pb.Hello, protocol: int) -> Opening | pb.Goodbye:
        """Makes this session the current one and settles what happened since the last one, in one transaction.

        A Goodbye when the agent cannot be let in.
        """
        now = utcnow()
        open_commands = messages.open_commands(hello, now)
        with self._app.app_context(), coming_from(AGENT + agent_id), transaction():
            if protocol < OLDEST_PROTOCOL_VERSION:
                goodbye = _protocol_goodbye(hello)
                sessions.refused(agent_id, goodbye.text)
                return goodbye
            agent = sessions.connected(agent_id, messages.agent_facts(hello, protocol), now)
            if clones.note_boot(agent, agent.boot_id):
                for command in clones.hold_off(agent, now):
                    outcomes.settle(command)
                return pb.Goodbye(reason=pb.Goodbye.REVOKED, text=clones.SENTENCE)
            last_seq = hello.last_command_seq if hello.HasField("last_command_seq") else None
            recovered = recovery.recover(agent, open_commands, now, last_seq=last_seq)
            for command in recovered.ended:
                outcomes.settle(command)
            deployments.reconcile(agent, agent.reported_revision)
            certificate_jobs.repeat_expired(agent)
            db.session.flush()
            welcome = self._welcome(agent, protocol, recovered)
            stored = {entry.command_id for entry in recovered.stored if not entry.is_final}
            finished = {entry.command_id for entry in open_commands if entry.state is JournalState.FINISHED}
            log.info("agent %s (%s) connected as session %d", agent.name, agent.hostname, agent.session_epoch)
            return Opening(agent.session_epoch, welcome, stored & finished)

    def _welcome(self, agent: Agent, protocol: int, recovered: Recovery) -> pb.Welcome:
        config: Config = self._app.config["WAYPOST"]
        return pb.Welcome(
            protocol=protocol,
            session_epoch=agent.session_epoch,
            heartbeat_interval=duration(timedelta(seconds=config.heartbeat_interval)),
            stored=[
                pb.ResultStored(command_id=one.command_id, output_seq=one.output_seq, final_stored=one.is_final)
                for one in recovered.stored
            ],
            forget=recovered.forget,
            panel_time=timestamp(utcnow()),
        )


def _count(opening: Opening) -> None:
    metrics.sessions.inc()
    metrics.sessions_opened.inc()
    if opening.epoch > 1:
        metrics.reconnects.inc()


def _receive_hello(requests: Iterator[pb.AgentMessage], context: grpc.ServicerContext) -> pb.Hello | None:
    """The first message, which must be a Hello and come soon; ends the call otherwise. None: the caller has gone."""
    message: pb.AgentMessage | None = None
    try:
        with gevent.Timeout(HELLO_WITHIN):
            message = next(requests, None)
    except gevent.Timeout:
        log.info("%s sent no Hello", context.peer())
    if message is not None and message.WhichOneof("body") == "hello":
        return message.hello
    if context.is_active():
        sentence = f"The first message must be Hello, within {HELLO_WITHIN:.0f} s."
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, sentence)
    log.info("%s left before its Hello, or sent what cannot be read", context.peer())
    return None


def _protocol_goodbye(hello: pb.Hello) -> pb.Goodbye:
    text = (
        f"This agent speaks protocol {hello.protocol}, the panel needs at least {OLDEST_PROTOCOL_VERSION}. "
        "Update the agent."
    )
    wait = duration(timedelta(minutes=5))
    return pb.Goodbye(reason=pb.Goodbye.PROTOCOL, text=text, retry_after=wait)
