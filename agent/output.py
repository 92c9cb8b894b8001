"""Output lines of a command: cleaned, numbered, capped, batched, and journalled before anybody is told.
May import: the standard library only."""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

_log = logging.getLogger(__name__)

MAX_LINES = 10_000
MAX_BYTES = 1 << 20
MAX_LINE = 4096
BATCH_LINES = 50
BATCH_SECONDS = 0.1

# OSC, DCS, PM, APC and SOS strings up to their terminator, then CSI sequences, then two-character escapes.
_ESCAPES = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
_LINE_ENDS = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")


class OutputLine(NamedTuple):
    """One line. `seq` counts from 1 within a command, `at` is seconds since the epoch by the agent's clock."""

    seq: int
    at: float
    stage: str
    level: str
    text: str


class LineStore(Protocol):
    """Where lines are made durable before anybody is told of them."""

    def append_lines(self, command_id: str, lines: Sequence[OutputLine]) -> None:
        """Stores the lines durably; returns when they are on disk."""


def clean_lines(text: str | bytes) -> list[str]:
    """Splits hostile text into lines of printable characters, each at most 4096 long. Never fails."""
    if isinstance(text, bytes):
        text = text[: 2 * MAX_BYTES].decode("utf-8", "replace")
    text = text[: 2 * MAX_BYTES].encode("utf-8", "replace").decode("utf-8")
    lines = [_printable(line) for line in _LINE_ENDS.split(_ESCAPES.sub("", text))]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def clean(text: str | bytes) -> str:
    """The same as one line."""
    return " ".join(clean_lines(text))[:MAX_LINE]


def _printable(line: str) -> str:
    """Without controls, bidirectional overrides and other characters that draw something else than they are."""
    if not line.isascii() or not line.isprintable():
        line = line.replace("\t", "    ")
        line = "".join(c for c in line if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"})
    return line.rstrip()[:MAX_LINE]


class Output:
    """The lines of one command. Thread-safe; `close` must be called, and writes what is left."""

    def __init__(
        self,
        command_id: str,
        store: LineStore | None,
        notify: Callable[[str], None],
        *,
        last_seq: int = 0,
    ) -> None:
        """`notify(command_id)` is called after each durable batch. `last_seq` continues an interrupted command.

        Without a store the lines stay here until `take`.
        """
        self._command_id = command_id
        self._store = store
        self._notify = notify
        self._seq = last_seq
        self._bytes = 0
        self._stage = ""
        self._pending: list[OutputLine] = []
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()

    @property
    def last_seq(self) -> int:
        """The number of the last line given out."""
        return self._seq

    def stage(self, name: str, text: str) -> None:
        """Begins a stage; the lines that follow belong to it."""
        self._stage = name
        self._add("stage", text)

    def info(self, text: str | bytes) -> None:
        """Plain output, any number of lines."""
        self._add("info", text)

    def succeed(self, text: str) -> None:
        """A step that ended well."""
        self._add("ok", text)

    def warn(self, text: str | bytes) -> None:
        """Something that a person should know and that stops nothing."""
        self._add("warning", text)

    def fail(self, text: str | bytes) -> None:
        """What went wrong, in the words of who said it."""
        self._add("error", text)

    def record(self, name: str, kind: str, value: str) -> None:
        """A DNS record that a person is to add now; the page offers it for copying."""
        self._add("record", clean(f"{name} {kind} {value}"))

    def take(self) -> list[OutputLine]:
        """The lines that were not journalled; they are the caller's from now on."""
        with self._lock:
            lines, self._pending = self._pending, []
        return lines

    def flush(self) -> None:
        """Journals what is pending, then tells the wire."""
        if self._store is None:
            return
        with self._lock:
            lines, self._pending = self._pending, []
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            stored = not lines or self._try_store(self._store, lines)
        if lines and stored:
            self._notify(self._command_id)

    def _try_store(self, store: LineStore, lines: list[OutputLine]) -> bool:
        """A full disk must not end a command in the middle: its lines wait for the next flush."""
        try:
            store.append_lines(self._command_id, lines)
        except sqlite3.Error:
            _log.exception("output of command %s could not be journalled", self._command_id)
            self._pending = lines + self._pending
            return False
        return True

    def close(self) -> None:
        """Writes what is left."""
        self.flush()

    def _add(self, level: str, text: str | bytes) -> None:
        with self._lock:
            for line in clean_lines(text):
                self._append(level, line)
            full = len(self._pending) >= BATCH_LINES
            if self._store is not None and self._pending and not full and self._timer is None:
                self._timer = threading.Timer(BATCH_SECONDS, self.flush)
                self._timer.daemon = True
                self._timer.start()
        if full:
            self.flush()

    def _append(self, level: str, text: str) -> None:
        if self._seq >= MAX_LINES or self._bytes >= MAX_BYTES:
            return
        self._bytes += len(text.encode()) + 1
        if self._seq == MAX_LINES - 1 or self._bytes >= MAX_BYTES:
            self._bytes = MAX_BYTES
            level, text = "warning", "truncated: the rest of the output is not kept"
        self._seq += 1
        self._pending.append(OutputLine(self._seq, time.time(), self._stage, level, text))
