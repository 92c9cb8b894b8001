"""Answers questions beside the commands. They are in no journal: the panel asks none twice and keeps no answer waiting.
May import: protos, agent.errors, agent.handlers, agent.output."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

from agent.errors import Stopping
from agent.handlers import HANDLERS
from agent.handlers.attempt import attempt, guard_of, refusal, refuse
from agent.handlers.contents import CommandContents, ContentInbox
from agent.handlers.job import Engines, Job
from agent.output import Output, OutputLine
from protos import command_stream_pb2 as pb

THREADS = 4
WAITING = 256

Answer = Callable[[pb.CommandResult, Sequence[OutputLine]], object]


def is_question(command: pb.Command) -> bool:
    """Whether a command only asks: known here, and with no resource of its own."""
    handler = HANDLERS.get(command.WhichOneof("action") or "")
    return handler is not None and not handler.resource


class Questions:
    """A few threads; more questions wait, and beyond the limit they are refused."""

    def __init__(self, engines: Engines, inbox: ContentInbox, answer: Answer, stopping: threading.Event) -> None:
        """`answer` gets the result and all its lines; what cannot be sent is lost, and the panel asks again."""
        self._engines = engines
        self._inbox = inbox
        self._answer = answer
        self._stopping = stopping
        self._queue: queue.Queue[tuple[pb.Command, float]] = queue.Queue(WAITING)
        self._cancels: dict[str, threading.Event] = {}

    def start(self) -> None:
        """Begins to answer. The threads end with the process: a question changes nothing."""
        for number in range(THREADS):
            threading.Thread(target=self._work, name=f"question-{number}", daemon=True).start()

    def begin(self, command: pb.Command) -> None:
        """Answers as soon as a thread is free."""
        self._cancels[command.command_id] = threading.Event()
        try:
            self._queue.put_nowait((command, time.monotonic()))
        except queue.Full:
            del self._cancels[command.command_id]
            result = refusal(pb.CommandResult.FAILED, "Too many questions wait for this agent. Ask again.")
            result.command_id = command.command_id
            self._answer(result, ())

    def cancel(self, command_id: str) -> bool:
        """Asks a question to end; False when there is none of this id."""
        cancelled = self._cancels.get(command_id)
        if cancelled is not None:
            cancelled.set()
        return cancelled is not None

    def _work(self) -> None:
        while not self._stopping.is_set():
            command, asked_at = self._queue.get()
            try:
                self._run(command, time.monotonic() - asked_at)
            except Stopping:
                return
            finally:
                self._cancels.pop(command.command_id, None)

    def _run(self, command: pb.Command, age: float) -> None:
        cancelled = self._cancels[command.command_id]
        output = Output(command.command_id, None, lambda _: None)
        job = Job(
            command,
            self._engines,
            output,
            guard_of(command, cancelled, self._stopping),
            CommandContents(command.command_id, {}, self._inbox),
        )
        result = refuse(command, age, cancelled) or attempt(job)
        result.command_id = command.command_id
        result.last_output_seq = output.last_seq
        self._answer(result, output.take())
