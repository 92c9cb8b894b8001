"""Takes commands in, runs each once, and writes down how it ended.
May import: protos, agent.errors, agent.journal, agent.output, agent.failpoints, agent.nginx, agent.handlers."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable

from agent import failpoints
from agent.errors import Stopping
from agent.handlers import HANDLERS
from agent.handlers.attempt import attempt, guard_of, refusal, refuse
from agent.handlers.contents import CommandContents, ContentInbox, join_pieces
from agent.handlers.job import Engines, Job
from agent.handlers.lanes import Lanes
from agent.handlers.wire import lane_of, payload_hash, sent_contents, write_outcome
from agent.journal import Entry, Journal, Origin, State, Verdict
from agent.nginx.guard import Guard
from agent.output import Output
from protos import command_stream_pb2 as pb

_log = logging.getLogger(__name__)

RECOVERY_SECONDS = 15.0
# Certificates that are worked on at once. Most of them wait: for an authority, for DNS, for a person.
WORKERS = 8
# Of what the agent begins itself no more waits at once: the rest is due a little later.
MAX_OWN = 32
_REASONS = {
    Verdict.CONFLICT: "This agent knows another command by this id.",
    Verdict.FULL: "This agent has no room for another command: its journal or its disk is full.",
}


class Dispatcher:
    """A thread each for nginx and for Docker, and a few for certificates: one command at a time for each of them."""

    def __init__(self, journal: Journal, engines: Engines, inbox: ContentInbox, notify: Callable[[str], None]) -> None:
        """`notify(command_id)` is called when output or a result was journalled."""
        self._journal = journal
        self._engines = engines
        self._inbox = inbox
        self._notify = notify
        self._cancels: dict[str, threading.Event] = {}
        self._unwritten: dict[str, bytes] = {}
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._machine = Lanes("machine", 2)
        self._certificates = Lanes("certificates", WORKERS)

    def start(self) -> None:
        """Settles what the last run of the agent left, then begins to work. Takes seconds when nginx must be asked."""
        for entry in self._journal.interrupted():
            self._settle(entry)
        for entry in self._journal.open_commands():
            if entry.state is State.ACCEPTED:
                self.begin(pb.Command.FromString(entry.payload))
        self._machine.start()
        self._certificates.start()

    def refuse_more(self) -> None:
        """Starts nothing more; what runs ends at its next safe point."""
        self._stopping.set()

    def stop(self, timeout: float) -> bool:
        """Starts nothing more and waits up to `timeout` seconds for what runs; answers whether it ended. The next
        start settles the rest."""
        self._stopping.set()
        deadline = time.monotonic() + timeout
        ended = [lanes.stop(max(0.0, deadline - time.monotonic())) for lanes in (self._machine, self._certificates)]
        return all(ended)

    def accept(self, command: pb.Command) -> pb.CommandAck:
        """Journals a command. Only after this may it be acknowledged; `begin` runs it."""
        verdict = self._journal_command(command)
        wire = {Verdict.ACCEPTED: pb.CommandAck.ACCEPTED, Verdict.DUPLICATE: pb.CommandAck.DUPLICATE}
        reason = _REASONS.get(verdict, "")
        if reason:
            _log.warning("command %s rejected: %s", command.command_id, reason)
        return pb.CommandAck(
            command_id=command.command_id, verdict=wire.get(verdict, pb.CommandAck.REJECTED), reason=reason
        )

    def _journal_command(self, command: pb.Command) -> Verdict:
        kind = command.WhichOneof("action") or ""
        payload, digest = command.SerializeToString(), payload_hash(command)
        try:
            return self._journal.accept(command.command_id, command.seq, kind, digest, payload)
        except sqlite3.Error:
            _log.exception("command %s could not be journalled", command.command_id)
            return Verdict.FULL

    def begin_own(self, command: pb.Command) -> bool:
        """Journals what the agent begins by itself, tells of it, and runs it. False while something else is done about
        the same certificate, when much waits already, or when it cannot be journalled; then nothing is run."""
        lane = lane_of(command)
        if self._stopping.is_set() or self._certificates.is_busy(lane) or self._certificates.count() >= MAX_OWN:
            return False
        kind = command.WhichOneof("action") or ""
        try:
            self._journal.begin_own(command.command_id, kind, command.SerializeToString())
        except sqlite3.Error:
            _log.exception("command %s could not be journalled", command.command_id)
            return False
        self._notify(command.command_id)
        self.begin(command)
        return True

    def begin(self, command: pb.Command) -> None:
        """Runs an accepted command when its resource is free."""
        self._cancels[command.command_id] = threading.Event()
        if command.WhichOneof("action") in HANDLERS:
            lane = lane_of(command)
            (self._certificates if lane.startswith("acme:") else self._machine).put(lane, lambda: self._work(command))
        else:
            self._run(command)  # to say that it is unknown, which need not wait for anything

    def run_beside(self, lane: str, task: Callable[[], None]) -> None:
        """Runs something that is no command, when nothing else is done about the same certificate."""
        self._certificates.put(lane, task)

    def cancel(self, command_id: str) -> None:
        """Asks a command to end. One that has touched something live goes on to its true end."""
        event = self._cancels.get(command_id)
        if event is not None:
            event.set()

    def _work(self, command: pb.Command) -> None:
        if self._stopping.is_set():
            return
        try:
            self._run(command)
        except sqlite3.Error:
            _log.exception("command %s was left alone: the journal cannot be used", command.command_id)

    def _run(self, command: pb.Command) -> None:
        entry = self._journal.get(command.command_id)
        if entry is None or entry.state is State.FINISHED or entry.final_stored:
            return  # unknown, ended, or given up by the panel before it began
        age = 0.0 if entry.state is State.RUNNING else entry.age  # one that had begun in time is not late
        result = refuse(command, age, self._cancels[command.command_id]) or self._handle(command, entry)
        if result is not None:
            self._finish(command.command_id, result)

    def _handle(self, command: pb.Command, entry: Entry) -> pb.CommandResult | None:
        """Runs the handler. None when the agent stops: the next start settles it."""
        output = self._output(entry)
        guard = guard_of(command, self._cancels[command.command_id], self._stopping)
        source = CommandContents(command.command_id, join_pieces(sent_contents(command)), self._inbox)
        try:
            self._journal.start(command.command_id)
            failpoints.hit("after_start")
            is_own = entry.origin is Origin.HERE
            result = attempt(Job(command, self._engines, output, guard, source, entry.age, is_own))
        except Stopping:
            return None
        except sqlite3.Error:
            _log.exception("command %s could not be started", command.command_id)
            result = refusal(pb.CommandResult.FAILED, "The agent's journal cannot be written; its log says why.")
        finally:
            output.close()
        result.last_output_seq = output.last_seq
        return result

    def _settle(self, entry: Entry) -> None:
        """A command that was running when the agent ended."""
        command = pb.Command.FromString(entry.payload)
        if entry.kind == "apply_config":
            self._settle_apply(command, entry)
        elif entry.kind in HANDLERS and HANDLERS[entry.kind].resumes:
            _log.info("command %s goes on where it was cut off", entry.command_id)
            self.begin(command)
        else:
            text = "The agent was restarted in the middle of this. Run it again."
            self._finish(entry.command_id, refusal(pb.CommandResult.INTERRUPTED, text), entry.last_seq)

    def _settle_apply(self, command: pb.Command, entry: Entry) -> None:
        phase = self._journal.last_apply(entry.command_id)
        output = self._output(entry)
        guard = Guard(time.monotonic() + RECOVERY_SECONDS, stopping=self._stopping)
        try:
            outcome = self._engines.applier.recover(phase, output, guard) if phase else None
        except Stopping:
            return
        finally:
            output.close()
        if outcome is None:
            _log.info("command %s had touched nothing live; it is run again", entry.command_id)
            self.begin(command)
        else:
            self._finish(entry.command_id, write_outcome(outcome), output.last_seq)

    def _finish(self, command_id: str, result: pb.CommandResult, last_seq: int | None = None) -> None:
        result.command_id = command_id
        if last_seq is not None:
            result.last_output_seq = last_seq
        self._cancels.pop(command_id, None)
        with self._writing:
            self._unwritten[command_id] = result.SerializeToString()
        self.write_results()

    def write_results(self) -> None:
        """Journals the results that wait for it: one that a full disk did not take is tried again at each call."""
        with self._writing:
            for command_id, result in tuple(self._unwritten.items()):
                try:
                    self._journal.finish(command_id, result)
                except sqlite3.Error:
                    _log.exception("the result of command %s could not be journalled yet", command_id)
                    return
                failpoints.hit("after_result")
                del self._unwritten[command_id]
                self._notify(command_id)

    def _output(self, entry: Entry) -> Output:
        return Output(entry.command_id, self._journal, self._notify, last_seq=entry.last_seq)
