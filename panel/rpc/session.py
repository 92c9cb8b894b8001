"""One agent's stream: what goes out, what came in, and when it is over.
May import: protos, panel.rpc, panel.services, panel.models and below, panel.failpoints."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import gevent
import grpc
from flask import Flask
from gevent.queue import Empty, Full, Queue
from sqlalchemy.exc import SQLAlchemyError

from panel import failpoints, metrics
from panel.config import Config
from panel.extensions import stopping, transaction, wakeups
from panel.models.types import utcnow
from panel.rpc import inbox, outbox
from panel.rpc.text import duration
from panel.services import enrollments, sessions
from panel.services.sessions import NginxFacts
from protos import command_stream_pb2 as pb

log = logging.getLogger(__name__)

QUEUE_LENGTH = 256
SLOW_AFTER = 10.0  # seconds that the queue may stay full
ACK_WITHIN = 30.0  # seconds between handing a command over and the agent's word that it holds it
LOOK_EVERY = 30.0  # seconds; wake-ups make it sooner, and panel.rpc.watch looks for what woke nobody
CANCEL_AFTER = 1.0  # seconds that a peer has to read its Goodbye


class AgentSession:
    """A stream between Welcome and its end. Three greenlets share it: the writer (gRPC's own), reader and feeder."""

    def __init__(self, app: Flask, context: grpc.ServicerContext, agent_id: str, serial: str, epoch: int) -> None:
        self.agent_id = agent_id
        self.epoch = epoch
        self._app = app
        self._context = context
        self.serial = serial
        self._queue: Queue[pb.PanelMessage | None] = Queue(QUEUE_LENGTH)
        self._goodbye: pb.Goodbye | None = None
        self._is_closed = False
        self._is_synced = False
        config: Config = app.config["WAYPOST"]
        self._silence_limit = 3 * config.heartbeat_interval
        self._heard_at = time.monotonic()
        self._sign_of_life: datetime | None = None
        self._stored_facts: NginxFacts | None = None
        self._awaiting_ack: dict[str, float] = {}
        self._cancelled: set[str] = set()
        self._replaying: set[str] = set()

    def begin(self, requests: Iterator[pb.AgentMessage], replaying: set[str]) -> None:
        """Starts reading and feeding. `replaying`: commands whose results the agent is about to repeat."""
        self._replaying = replaying
        if not self._context.add_callback(self._drop):
            self._drop()  # the caller has gone already
        gevent.spawn(self._read, requests)
        gevent.spawn(self._feed)

    def outgoing(self) -> Iterator[pb.PanelMessage]:
        """What the stream sends, until it is closed; a Goodbye last, when there is a reason to give."""
        while True:
            message = self._queue.get()
            if message is None:
                break
            yield message
            if message.HasField("command"):
                failpoints.hit("after_write")
        if self._goodbye is not None:
            yield pb.PanelMessage(goodbye=self._goodbye)

    def close(self, reason: pb.Goodbye.Reason.ValueType, text: str, retry_after: float = 0.0) -> None:
        """Ends the stream with a Goodbye; a peer that does not read it is cut off a second later."""
        if self._is_closed:
            return
        log.info("closing the stream of agent %s: %s", self.agent_id, text)
        metrics.sessions_closed.labels(pb.Goodbye.Reason.Name(reason).lower()).inc()
        wait = duration(timedelta(seconds=retry_after))
        self._goodbye = pb.Goodbye(reason=reason, text=text, retry_after=wait)
        self._drop()
        gevent.spawn_later(CANCEL_AFTER, self._cut_off)

    def end(self) -> None:
        """Takes the session out of the books, if they still show this one."""
        self._drop()
        if stopping.is_set():
            return  # stays in the books as connected, so that the next start waits for it to come back
        try:
            with self._app.app_context(), transaction():
                sessions.disconnected(self.agent_id, self.epoch)
        except SQLAlchemyError:
            # Its silence shows soon enough: what is connected and not heard from counts as away.
            log.exception("the end of session %d of agent %s could not be stored", self.epoch, self.agent_id)

    def send(self, message: pb.PanelMessage) -> None:
        """Queues a message; an agent that lets the queue stay full for 10 s is cut off."""
        if self._is_closed:
            return
        try:
            self._queue.put(message, timeout=SLOW_AFTER)
        except Full:
            self.close(pb.Goodbye.SLOW, "The agent did not read its messages.")

    def note_heartbeat(self, facts: NginxFacts | None) -> bool:
        """The agent's work loop has proved that it runs. True when it brought facts that are new, to be stored."""
        self._heard_at = time.monotonic()
        self._sign_of_life = utcnow()
        if facts == self._stored_facts:
            return False
        self._stored_facts = facts
        return True

    def take_sign_of_life(self) -> datetime | None:
        """When the last heartbeat came, if nobody has asked since."""
        taken, self._sign_of_life = self._sign_of_life, None
        return taken

    def is_overdue(self, now: float) -> bool:
        """Whether the agent owes a heartbeat or an acknowledgement. `now` is time.monotonic()."""
        owes_ack = any(now - sent_at > ACK_WITHIN for sent_at in self._awaiting_ack.values())
        return owes_ack or now - self._heard_at > self._silence_limit

    def note_ack(self, command_id: str) -> None:
        """The agent holds this command."""
        self._awaiting_ack.pop(command_id, None)

    def note_result(self, command_id: str) -> None:
        """The result of this command is stored; the last one that was to be repeated ends the resynchronisation."""
        self.note_ack(command_id)
        self._replaying.discard(command_id)
        if not self._replaying and not self._is_synced:
            wakeups.wake(f"agent:{self.agent_id}")

    def _cut_off(self) -> None:
        """For a peer that reads nothing, not even its Goodbye: gRPC may hold the writer until the connection dies."""
        self._context.cancel()
        self.end()

    def _drop(self) -> None:
        """Wakes the writer for the last time. Runs in gRPC's own greenlet too: it must not block."""
        self._is_closed = True
        wakeups.wake(f"agent:{self.agent_id}")
        try:
            self._queue.put_nowait(None)
        except Full:
            self._make_room()

    def _make_room(self) -> None:
        """What waits behind a closed stream is not lost: the agent or the database still has it."""
        try:
            while True:
                self._queue.get_nowait()
        except Empty:
            self._queue.put_nowait(None)

    def _read(self, requests: Iterator[pb.AgentMessage]) -> None:
        """The reader. A message that cannot be stored ends the stream: unconfirmed, it is repeated on the next one."""
        try:
            for message in requests:
                if self._is_closed:
                    break
                inbox.receive(self._app, self, message)
        except grpc.RpcError:
            log.info("the stream of agent %s broke", self.agent_id)
        except Exception:  # the boundary of a stream message
            log.exception("a message of agent %s could not be handled", self.agent_id)
            self.close(pb.Goodbye.REASON_UNSPECIFIED, "The panel could not handle a message. Try again.", 5.0)
        self._drop()

    def _feed(self) -> None:
        """The feeder: looks when woken, until the stream is over."""
        try:
            with wakeups.subscribe(f"agent:{self.agent_id}") as news:
                while not self._is_closed:
                    news.clear()
                    pause = self._look()
                    if not self._is_closed:
                        news.wait(pause)
        except Exception:  # the boundary of a stream message
            log.exception("the commands of agent %s could not be sent", self.agent_id)
            self.close(pb.Goodbye.REASON_UNSPECIFIED, "The panel has a problem of its own. Try again.", 5.0)

    def _look(self) -> float:
        """Sends what is due and ends what must end; returns how many seconds may pass until the next look."""
        with self._app.app_context():
            if not self._is_entitled():
                return 0.0
            self._sync()
            agenda = outbox.read_agenda(self.agent_id)
            for message in outbox.cancellations(agenda, self._cancelled):
                self.send(message)
            left = agenda.queued
            while left and not self._is_closed:
                claims = outbox.claim(self.agent_id, self.epoch, min(left, outbox.MAX_CLAIMS))
                for claim in claims:
                    self._hand_over(claim)
                if not claims:
                    return min(LOOK_EVERY, outbox.seconds_until_due(self.agent_id))
                left -= len(claims)
            return LOOK_EVERY

    def _hand_over(self, claim: outbox.Claim) -> None:
        if claim.needs_ack:
            self._awaiting_ack[claim.command_id] = time.monotonic()
        if claim.message is not None:
            failpoints.hit("before_write")
            self.send(claim.message)

    def _is_entitled(self) -> bool:
        """Whether the stream may go on; if not, it is closed here with the reason."""
        now = time.monotonic()
        if not enrollments.is_admitted(self.agent_id, self.serial, utcnow()):
            self._send_away()
        elif not sessions.is_current(self.agent_id, self.epoch):
            self.close(pb.Goodbye.REPLACED, "A newer session of this agent has taken over.")
        elif now - self._heard_at > self._silence_limit:
            self.close(pb.Goodbye.SLOW, "The agent's heartbeats stayed away.")
        elif any(now - sent_at > ACK_WITHIN for sent_at in self._awaiting_ack.values()):
            self.close(pb.Goodbye.SLOW, "The agent did not acknowledge a command.")
        return not self._is_closed

    def _send_away(self) -> None:
        """A certificate that time has ended says nothing against its agent: the renewed one opens the next stream."""
        if enrollments.is_over(self.serial, utcnow()):
            self.close(pb.Goodbye.REASON_UNSPECIFIED, "The certificate that opened this stream has ended.")
        else:
            self.close(pb.Goodbye.REVOKED, enrollments.refusal(self.agent_id))

    def _sync(self) -> None:
        if self._is_synced or self._replaying:
            return
        with transaction():
            self._is_synced = sessions.synced(self.agent_id, self.epoch)
