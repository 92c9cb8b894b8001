"""Sends output and results from the journal, in order, again after each reconnect, until the panel has stored them.
May import: protos, agent.journal."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.journal import Entry, Journal, Origin, State
from protos import command_stream_pb2 as pb

_log = logging.getLogger(__name__)

BATCH = 50
RESEND_SECONDS = 30.0

_LEVELS = {
    "stage": pb.OutputLine.STAGE,
    "info": pb.OutputLine.INFO,
    "ok": pb.OutputLine.OK,
    "warning": pb.OutputLine.WARNING,
    "error": pb.OutputLine.ERROR,
    "record": pb.OutputLine.RECORD,
}


@dataclass
class _Progress:
    """What this session has sent of a command."""

    sent_seq: int
    result_sent_at: float = 0.0


class Outbox:
    """One session's sender. What is new is always read from the journal, so live lines and replay are one thing."""

    def __init__(self, journal: Journal, send: Callable[[pb.AgentMessage], bool]) -> None:
        self._journal = journal
        self._send = send
        self._news = threading.Condition()
        self._dirty: dict[str, None] = {}
        self._progress: dict[str, _Progress] = {}
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)

    def start(self) -> None:
        """Begins with everything that the panel has not confirmed."""
        self._thread.start()
        for entry in self._journal.open_commands():
            self.notify(entry.command_id)

    def close(self) -> None:
        """Ends the sender; what is unsent stays in the journal."""
        with self._news:
            self._is_closed = True
            self._news.notify()

    def notify(self, command_id: str) -> None:
        """Something of this command was journalled."""
        with self._news:
            self._dirty[command_id] = None
            self._news.notify()

    def repeat(self, command_id: str) -> None:
        """The panel sent a command again: all that it has not stored is sent again too."""
        with self._news:
            self._progress.pop(command_id, None)
        self.notify(command_id)

    def nudge(self) -> None:
        """Called with every heartbeat: a result that was not confirmed for long is sent again."""
        overdue = time.monotonic() - RESEND_SECONDS
        with self._news:
            late = [key for key, value in self._progress.items() if 0 < value.result_sent_at < overdue]
        for command_id in late:
            self.repeat(command_id)

    def settle(self, command_id: str) -> None:
        """The panel has stored the result."""
        with self._news:
            self._progress.pop(command_id, None)

    def _work(self) -> None:
        while True:
            with self._news:
                while not self._dirty and not self._is_closed:
                    self._news.wait()
                if self._is_closed:
                    return
                command_id = next(iter(self._dirty))
                del self._dirty[command_id]
            try:
                entry = self._journal.get(command_id)
                if entry is not None and not self._send_new(entry):
                    return
            except sqlite3.Error:
                _log.exception("the output of command %s cannot be read", command_id)

    def _send_new(self, entry: Entry) -> bool:
        """Lines first, then the result; before both, once in each session, what the agent began by itself, so that the
        panel has the row that they belong to. False when the stream is gone."""
        with self._news:
            is_first = entry.command_id not in self._progress
            progress = self._progress.setdefault(entry.command_id, _Progress(entry.stored_seq))
        started = write_started(entry)
        if is_first and started is not None and not self._send(pb.AgentMessage(command_started=started)):
            return False
        while lines := self._journal.lines_after(entry.command_id, progress.sent_seq, BATCH):
            output = pb.CommandOutput(command_id=entry.command_id, lines=[write_line(line) for line in lines])
            if not self._send(pb.AgentMessage(command_output=output)):
                return False
            progress.sent_seq = lines[-1][0]
        if entry.state is not State.FINISHED or entry.result is None or progress.result_sent_at:
            return True
        progress.result_sent_at = time.monotonic()
        return self._send(pb.AgentMessage(command_result=pb.CommandResult.FromString(entry.result)))


def write_started(entry: Entry) -> pb.CommandStarted | None:
    """What the agent began by itself; None for what the panel asked for."""
    if entry.origin is not Origin.HERE or not entry.payload:
        return None
    command = pb.Command.FromString(entry.payload)
    started = pb.CommandStarted(command_id=command.command_id, renew_certificate=command.renew_certificate)
    started.started_at.FromNanoseconds(int(entry.accepted_at * 1e9))
    return started


def write_line(line: tuple[int, float, str, str, str]) -> pb.OutputLine:
    """One line for the wire."""
    seq, at, stage, level, text = line
    message = pb.OutputLine(seq=seq, stage=stage, level=_LEVELS[level], text=text)
    message.at.FromNanoseconds(int(at * 1e9))
    return message
