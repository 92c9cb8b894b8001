"""The agent's life: join, connect, work, come back, stop.
May import: all of agent, protos."""

from __future__ import annotations

import logging
import random
import signal
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import grpc

from agent import __version__
from agent.config import AgentConfig
from agent.enroll import join, token_sha256
from agent.errors import AgentError, Refused
from agent.handlers.questions import is_question
from agent.handlers.workshop import Wires, Workshop
from agent.identity import Identity, load, make_request, save
from agent.journal import Entry, Journal, State
from agent.lock import lock
from agent.nginx.system import system_name
from agent.output import OutputLine
from agent.stream.channel import open_channel
from agent.stream.outbox import write_started
from agent.stream.session import End, Session
from agent.watchdog import Watchdog
from protos import PROTOCOL_VERSION
from protos import command_stream_pb2 as pb

_log = logging.getLogger(__name__)

MAX_PAUSE = 15.0
REFUSED_PAUSE = 300.0
HEALTHY_SECONDS = 60.0
STOP_SECONDS = 3.5
_STATES = {
    State.ACCEPTED: pb.OpenCommand.ACCEPTED,
    State.RUNNING: pb.OpenCommand.RUNNING,
    State.FINISHED: pb.OpenCommand.FINISHED,
}


class Agent:
    """Everything of one agent process. What a session needs of it is agent.stream.session.Work."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._stop = threading.Event()
        self._boot_id = str(uuid.uuid4())
        self._journal = Journal(config.journal_path)
        if self._journal.quarantined:
            _log.error("the journal was damaged; it lies at %s and a new one was begun", self._journal.quarantined)
        wires = Wires(self._send, self._answer, self._notify)
        self._workshop = Workshop(config, self._journal, wires, self._stop)
        self._watchdog = Watchdog(config.watchdog)
        self._session: Session | None = None
        self._identity: Identity | None = None

    def run(self) -> None:
        """Until SIGTERM or SIGINT; then returns within five seconds."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        self._workshop.start()
        self._watchdog.start()
        failures = 0
        while not self._stop.is_set():
            end = self._connect_once()
            failures = 0 if end.healthy >= HEALTHY_SECONDS else failures + 1
            self._rest(self._pause(end, failures))
        self._workshop.stop(STOP_SECONDS)
        _log.info("stopped")

    def stop(self) -> None:
        """Asks the agent to end."""
        self._stop.set()
        self._workshop.refuse_more()
        if self._session is not None:
            self._session.wake()

    # ---- connecting ----------------------------------------------------------------------------------------------

    def _connect_once(self) -> End:
        try:
            self._identity = self._find_identity()
        except Refused as error:
            _log.error("%s", error.message)
            return End(code=grpc.StatusCode.PERMISSION_DENIED, text=error.message)
        except AgentError as error:
            _log.warning("%s Trying again.", error.message)
            return End(text=error.message)
        return self._hold_session(self._identity)

    def _hold_session(self, identity: Identity) -> End:
        with open_channel(identity) as channel:
            session = Session(channel, self, self._journal, self._stop)
            self._session = session
            try:
                end = session.run()
            except sqlite3.Error:
                _log.exception("the journal cannot be used")
                end = End(text="The agent's journal cannot be used.")
            finally:
                self._session = None
        if not self._stop.is_set():
            words = end.goodbye.text if end.goodbye else end.text
            _log.warning("disconnected from %s: %s", identity.target, words)
        return end

    def _find_identity(self) -> Identity:
        """The stored one, or a new one when a token was given that was not used yet. Raises AgentError."""
        stored, token = load(self._config.identity_dir), self._config.read_join_token()
        is_new = bool(token) and (stored is None or stored.token_sha256 != token_sha256(token))
        if is_new and self._config.panel_url:
            try:
                return self._join(token)
            except Refused as error:
                if stored is None:
                    raise
                _log.warning("%s Going on with the identity that this agent has.", error.message)
        if stored is None:
            raise AgentError("This agent has not joined a panel: AGENT_PANEL_URL and AGENT_JOIN_TOKEN are needed.")
        if stored.is_expired(datetime.now(UTC)):
            raise Refused(
                f"This agent's certificate ended on {stored.expires_at:%Y-%m-%d}. Make a new join token on the agent's"
                " page and start the agent with it."
            )
        return stored

    def _join(self, token: str) -> Identity:
        identity = join(self._config.panel_url, token, self._config.identity_dir)
        _log.info("joined as %s", identity.agent_name)
        return identity

    def _rest(self, seconds: float) -> None:
        """Waits; ends early when the agent is stopped or is given another token."""
        token, until = self._config.read_join_token(), time.monotonic() + seconds
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            self._watchdog.beat()
            self._stop.wait(min(left, 2.0))
            if self._config.read_join_token() != token:
                return

    def _pause(self, end: End, failures: int) -> float:
        """Seconds until the next attempt: what the panel asked for, five minutes after a no, else full jitter."""
        refused = end.code in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}
        if end.goodbye is not None and end.goodbye.reason == pb.Goodbye.REVOKED:
            _log.error("this agent was revoked; trying again in five minutes. To use it again, join with a new token.")
            refused = True
        if refused:
            return REFUSED_PAUSE * random.uniform(1.0, 1.2)  # noqa: S311 - jitter, not a secret
        asked = end.goodbye.retry_after.ToTimedelta().total_seconds() if end.goodbye else 0.0
        ceiling = min(MAX_PAUSE, 0.5 * 2 ** min(failures, 10))
        return min(asked, REFUSED_PAUSE) + random.uniform(0.0, ceiling)  # noqa: S311 - jitter, not a secret

    # ---- what a session needs ------------------------------------------------------------------------------------

    def hello(self) -> pb.Hello:
        """Who this is, how nginx is, and what the panel has not confirmed."""
        entries = self._journal.open_commands()
        return pb.Hello(
            protocol=PROTOCOL_VERSION,
            agent_version=__version__,
            boot_id=self._boot_id,
            nginx=self.facts(),
            open_commands=[_open_command(entry) for entry in entries],
            hostname=socket.gethostname(),
            os=system_name(),
            last_command_seq=self._journal.last_command_seq(),
            dns_providers=self._workshop.dns_providers(),
        )

    def facts(self) -> pb.NginxFacts:
        """A fresh look at nginx."""
        return self._workshop.facts()

    def accept(self, command: pb.Command) -> pb.CommandAck | None:
        """See Dispatcher. None for a question, of which nothing is kept."""
        return None if is_question(command) else self._workshop.dispatcher.accept(command)

    def begin(self, command: pb.Command) -> None:
        """See Dispatcher and Questions."""
        workshop = self._workshop
        (workshop.questions if is_question(command) else workshop.dispatcher).begin(command)

    def cancel(self, command_id: str) -> None:
        """See Dispatcher and Questions."""
        if not self._workshop.questions.cancel(command_id):
            self._workshop.dispatcher.cancel(command_id)

    def connected(self, session: Session) -> None:
        """Asks again for contents that a lost stream did not bring, and renews the certificate when it is time."""
        self._session = session
        self._workshop.connected()
        self.tick()

    def receive(self, content: pb.Content) -> None:
        """A piece of a content."""
        self._workshop.inbox.receive(content)

    def turned(self) -> None:
        """The loop is not stuck."""
        self._watchdog.beat()

    def tick(self) -> None:
        """With every heartbeat: what the workshop has to tell, and a new certificate of the agent's own at two thirds
        of its lifetime. A failure is tried again next time."""
        self._workshop.tick()
        identity, session = self._identity, self._session
        if identity is None or session is None or not identity.is_due_for_renewal(datetime.now(UTC)):
            return
        try:
            request = make_request()
            reply = session.renew(request.csr_pem)
        except (AgentError, grpc.RpcError) as error:
            _log.warning("the certificate could not be renewed yet: %s", error)
            return
        renewed = replace(identity, key_pem=request.key_pem, certificate_pem=reply.certificate_pem.decode())
        try:
            save(self._config.identity_dir, renewed)
        except OSError as error:
            _log.warning("the renewed certificate could not be stored yet: %s", error)
            return
        self._identity = renewed
        _log.info("the certificate was renewed until %s", f"{renewed.expires_at:%Y-%m-%d}")

    def _send(self, message: pb.AgentMessage) -> bool:
        session = self._session
        return session is not None and session.send(message)

    def _answer(self, result: pb.CommandResult, lines: Sequence[OutputLine]) -> None:
        session = self._session
        if session is not None:
            session.answer(result, lines)

    def _notify(self, command_id: str) -> None:
        session = self._session
        if session is not None:
            session.notify(command_id)


def _open_command(entry: Entry) -> pb.OpenCommand:
    state = _STATES[entry.state]
    return pb.OpenCommand(
        command_id=entry.command_id, state=state, last_output_seq=entry.last_seq, started=write_started(entry)
    )


def run(config: AgentConfig) -> None:
    """Runs the agent until it is told to stop. Raises AgentError when another agent runs with this state folder."""
    with lock(config.state_dir):
        Agent(config).run()


def join_once(config: AgentConfig) -> Identity:
    """Joins with the given token and stores the identity. Raises AgentError."""
    return join(config.panel_url, config.read_join_token(), config.identity_dir)


def wait_and_join(config: AgentConfig, seconds: float) -> Identity:
    """The same for a panel that may still be starting: tries for so many seconds. Raises AgentError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return join_once(config)
        except Refused:
            raise
        except AgentError:
            if time.monotonic() > deadline:
                raise
        time.sleep(1)
