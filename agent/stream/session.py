"""One connection to the panel, from Hello to its end.
May import: grpc, protos, agent.{journal,output,identity,failpoints}, agent.stream.{channel,outbox}."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc

from agent import failpoints
from agent.journal import Journal
from agent.output import OutputLine
from agent.stream.outbox import Outbox, write_line
from protos import command_stream_pb2 as pb
from protos import command_stream_pb2_grpc as pb_grpc

_log = logging.getLogger(__name__)

WELCOME_SECONDS = 20.0
SEND_SECONDS = 10.0
CLOSE_SECONDS = 1.0
LOOK_SECONDS = 2.0
MAX_LINES = 50  # in an answer


class Work(Protocol):
    """What a session gives its messages to."""

    def hello(self) -> pb.Hello:
        """The first message up."""

    def facts(self) -> pb.NginxFacts:
        """A fresh look at nginx."""

    def accept(self, command: pb.Command) -> pb.CommandAck | None:
        """Journals a command; returns when it is durable. None: a question, which is only begun."""

    def begin(self, command: pb.Command) -> None:
        """Runs a command that was accepted, or a question."""

    def cancel(self, command_id: str) -> None:
        """Asks a command to end."""

    def connected(self, session: Session) -> None:
        """From now on there is a stream to send on."""

    def receive(self, content: pb.Content) -> None:
        """A piece of a content."""

    def turned(self) -> None:
        """Called with every turn of the loop."""

    def tick(self) -> None:
        """Called with every heartbeat, by the same loop."""


@dataclass(frozen=True)
class End:
    """How a session ended. `healthy` is seconds since Welcome. `goodbye` is the panel's own, when it said one."""

    healthy: float = 0.0
    goodbye: pb.Goodbye | None = None
    code: grpc.StatusCode | None = None
    text: str = ""


class Session:
    """One stream. `run` is the loop that does the work and sends the heartbeats, so that they prove this loop."""

    def __init__(self, channel: grpc.Channel, work: Work, journal: Journal, stop: threading.Event) -> None:
        self._stub = pb_grpc.CommandStreamStub(channel)
        self._work = work
        self._journal = journal
        self._stop = stop
        self._outgoing: queue.Queue[pb.AgentMessage | None] = queue.Queue(maxsize=256)
        self._incoming: queue.Queue[pb.PanelMessage | None] = queue.Queue(maxsize=64)
        self._outbox = Outbox(journal, self.send)
        self._is_open = True
        self._is_ended = False
        self._error: grpc.RpcError | None = None
        self._goodbye: pb.Goodbye | None = None
        self._welcomed_at = 0.0
        self._interval = 15.0
        self._sequence = 0
        self._acked_at = 0.0
        self._next_beat = 0.0
        self._told = pb.NginxFacts()
        self._next_look = 0.0

    def run(self) -> End:
        """Blocks until the stream ends, for whatever reason."""
        hello = self._work.hello()
        self._told = hello.nginx
        self._outgoing.put(pb.AgentMessage(hello=hello))
        call = self._stub.Connect(iter(self._outgoing.get, None))
        reader = threading.Thread(target=self._read, args=(call,), name="reader", daemon=True)
        reader.start()
        text = ""
        try:
            text = self._loop()
        finally:
            self._close(call, reader)
        healthy = time.monotonic() - self._welcomed_at if self._welcomed_at else 0.0
        code, details = _status(self._error)
        return End(healthy, self._goodbye, code, text or details or "The panel ended the stream.")

    def wake(self) -> None:
        """Makes the loop look at once, when the agent is being stopped."""
        try:
            self._incoming.put_nowait(None)
        except queue.Full:
            _log.debug("the loop is awake already")

    def send(self, message: pb.AgentMessage) -> bool:
        """Queues a message. False before Welcome, when the stream is over, and when the panel does not read, which
        ends it."""
        if not self._is_open or not self._welcomed_at:
            return False
        try:
            self._outgoing.put(message, timeout=SEND_SECONDS)
        except queue.Full:
            self._is_open = False
            self.wake()
        return self._is_open

    def notify(self, command_id: str) -> None:
        """Output or a result was journalled."""
        self._outbox.notify(command_id)

    def answer(self, result: pb.CommandResult, lines: Sequence[OutputLine]) -> None:
        """The answer to a question, in one message and once: beyond this stream nobody waits for it."""
        result.lines.extend(write_line(line) for line in lines[:MAX_LINES])
        self.send(pb.AgentMessage(command_result=result))

    def renew(self, csr_pem: bytes) -> pb.RenewCertificateReply:
        """A new certificate by a call beside the stream. Raises grpc.RpcError."""
        return self._stub.RenewCertificate(pb.RenewCertificateRequest(csr_pem=csr_pem), timeout=10)

    # ---- the loop ------------------------------------------------------------------------------------------------

    def _loop(self) -> str:
        """Returns why it ended, when that is not in the call's own status."""
        welcome_by = time.monotonic() + WELCOME_SECONDS
        while True:
            self._work.turned()
            if self._stop.is_set():
                return "The agent is being stopped."
            if not self._is_open:
                return "The panel does not read."
            message = self._next_message()
            if message is not None:
                self._handle(message)
            elif self._is_ended:
                return ""
            if not self._welcomed_at and time.monotonic() > welcome_by:
                return "The panel did not answer."
            if self._welcomed_at and (silence := self._beat()):
                return silence

    def _next_message(self) -> pb.PanelMessage | None:
        pause = LOOK_SECONDS
        if self._welcomed_at:
            pause = max(0.0, min(pause, self._next_beat - time.monotonic()))
        try:
            return self._incoming.get(timeout=pause)
        except queue.Empty:
            return None

    def _read(self, call: Iterator[pb.PanelMessage]) -> None:
        try:
            for message in call:
                self._incoming.put(message)
        except grpc.RpcError as error:
            self._error = error
        self._is_ended = True
        self._incoming.put(None)

    def _close(self, call: grpc.Call, reader: threading.Thread) -> None:
        """Half-closes, gives the panel a moment to end its side, then cuts."""
        self._is_open = False
        self._outbox.close()
        try:
            self._outgoing.put_nowait(None)
        except queue.Full:
            call.cancel()
        while reader.is_alive() and not self._incoming.empty():
            self._incoming.get_nowait()
        reader.join(CLOSE_SECONDS)
        call.cancel()

    # ---- messages ------------------------------------------------------------------------------------------------

    def _handle(self, message: pb.PanelMessage) -> None:
        kind = message.WhichOneof("body")
        if kind == "welcome":
            self._begin(message.welcome)
        elif kind == "command":
            self._take(message.command)
        elif kind == "cancel_command":
            self._work.cancel(message.cancel_command.command_id)
        elif kind == "result_stored":
            self._settle(message.result_stored)
        elif kind == "heartbeat_ack":
            self._acked_at = time.monotonic()
        elif kind == "goodbye":
            self._goodbye = message.goodbye
        elif kind == "content":
            self._work.receive(message.content)
        else:
            _log.warning("the panel sent a message that this agent does not know; it is ignored")

    def _begin(self, welcome: pb.Welcome) -> None:
        _log.info("connected, session %s", welcome.session_epoch)
        self._interval = max(0.1, welcome.heartbeat_interval.ToTimedelta().total_seconds() or 15.0)
        for stored in welcome.stored:
            self._settle(stored)
        for command_id in welcome.forget:
            self._forget(command_id)
        self._welcomed_at = self._acked_at = time.monotonic()
        self._next_beat = self._welcomed_at + self._interval
        self._outbox.start()
        self._work.connected(self)

    def _take(self, command: pb.Command) -> None:
        failpoints.hit("after_frame_read")
        ack = self._work.accept(command)
        failpoints.hit("after_journal")
        if ack is None:
            self._work.begin(command)
            return
        self.send(pb.AgentMessage(command_ack=ack))
        failpoints.hit("after_ack")
        if ack.verdict == pb.CommandAck.ACCEPTED:
            self._work.begin(command)
        elif ack.verdict == pb.CommandAck.DUPLICATE:
            self._outbox.repeat(command.command_id)

    def _settle(self, stored: pb.ResultStored) -> None:
        try:
            self._journal.confirm(stored.command_id, stored.output_seq, stored.final_stored)
        except sqlite3.Error as error:
            # A full disk. The panel says it again in the next Welcome; until then nothing of it is lost.
            _log.warning("that the panel has command %s could not be journalled: %s", stored.command_id, error)
        if stored.final_stored:
            self._outbox.settle(stored.command_id)

    def _forget(self, command_id: str) -> None:
        try:
            self._journal.forget(command_id)
        except sqlite3.Error as error:
            _log.warning("that the panel gave up command %s could not be journalled: %s", command_id, error)

    def _beat(self) -> str:
        """Heartbeat and watchdog; answers why the session must end, or nothing."""
        now = time.monotonic()
        if now < self._next_beat:
            self._report()
            return ""
        if now - self._acked_at > 2.5 * self._interval:
            return "The panel did not answer the heartbeats."
        self._next_beat = now + self._interval
        self._sequence += 1
        self._told = self._work.facts()
        self._next_look = now + LOOK_SECONDS
        self.send(pb.AgentMessage(heartbeat=pb.Heartbeat(sequence=self._sequence, nginx=self._told)))
        self._outbox.nudge()
        self._work.tick()
        return ""

    def _report(self) -> None:
        """Between heartbeats: tells at once when nginx stopped, came back, or serves something else."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        facts = self._work.facts()
        if facts != self._told:
            self._told = facts
            self.send(pb.AgentMessage(report=pb.Report(nginx=facts)))


def _status(error: object) -> tuple[grpc.StatusCode | None, str]:
    """Calls are raised as errors, which its types do not say."""
    return (error.code(), error.details() or "") if isinstance(error, grpc.Call) else (None, "")
