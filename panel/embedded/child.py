"""One supervised process: its own process group, its log file, its warnings on the terminal, its restarts.
May import: the standard library and panel.embedded.terminal."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path

from panel.embedded.terminal import Terminal

_LOUD = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b|\[(warn|error|crit|alert|emerg)\]|^Traceback ")
_FIRST_DELAY, _LONGEST_DELAY, _STEADY = 0.5, 15.0, 30.0  # seconds
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


class StartError(Exception):
    """Something needed at start did not work; the sentence says what and where to read on."""


@dataclass
class Child:
    """A command that is kept running. `stop_signals` are tried in turn, each with its seconds of patience."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_file: Path
    terminal: Terminal
    stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 5.0),)
    process: asyncio.subprocess.Process | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _keeper: asyncio.Task[None] | None = None
    _reader: asyncio.Task[list[str]] | None = None

    async def start(self) -> None:
        """Starts it and keeps it running until stop()."""
        process, _ = await self._spawn()
        self._keeper = asyncio.create_task(self._keep(process), name=f"keep {self.name}")

    async def run_once(self) -> None:
        """Runs it to its end. Raises StartError with its last words when it fails."""
        process, tail = await self._spawn(aloud=False)
        try:
            code = await process.wait()
        finally:
            self.kill()
        lines = await tail
        if code:
            words = "\n".join(f"    {line}" for line in lines[-12:])
            raise StartError(f"{self.name} failed ({_describe(code)}). Its last words:\n{words}")

    async def stop(self) -> None:
        """Ends it: politely, then by force. Nothing of its process group is left."""
        self._stopping.set()
        if self._keeper is not None:
            for number, patience in self.stop_signals:
                self._signal(number)
                await asyncio.wait([self._keeper], timeout=patience)
        self.kill()
        if self._keeper is not None:
            await self._keeper
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=1)
            self._reader.cancel()

    def kill(self) -> None:
        """Ends the whole process group at once."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    @property
    def has_ended(self) -> bool:
        """Whether it is not running now."""
        return self.process is None or self.process.returncode is not None

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def _spawn(self, aloud: bool = True) -> tuple[asyncio.subprocess.Process, asyncio.Task[list[str]]]:
        """The new process and the task that reads its output to the end.

        The pipe is ours and not asyncio's: that one would report the end of a killed nginx only when its workers,
        which hold the pipe too, have ended.
        """
        reading, writing = os.pipe()
        try:
            self.process = process = await asyncio.create_subprocess_exec(
                *self.command,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                process_group=0,  # Ctrl-C reaches the supervisor alone, which stops the children in order
                preexec_fn=_die_with_parent,
            )
        finally:
            os.close(writing)
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", 0)
        )
        self._reader = asyncio.create_task(self._read(stream, aloud), name=f"read {self.name}")
        self._reader.add_done_callback(lambda _: transport.close())
        return process, self._reader

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        delay = _FIRST_DELAY
        while True:
            since = time.monotonic()
            code = await process.wait()
            if self._stopping.is_set():
                return
            self.kill()  # workers of a dead nginx would keep its port
            delay = _FIRST_DELAY if time.monotonic() - since > _STEADY else delay
            self.terminal.warn(
                self.name,
                f"{self.name} ended ({_describe(code)}). Starting it again in {delay:g} s. See {self.log_file}",
            )
            if await _happens(self._stopping, delay):
                return
            delay = min(2 * delay, _LONGEST_DELAY)
            process, _ = await self._spawn()
            self.terminal.note(self.name, f"{self.name} is started again.")

    async def _read(self, stream: asyncio.StreamReader, aloud: bool) -> list[str]:
        """Every line to the log, warnings to the terminal too when aloud; the last lines when the output ends."""
        log, rest, last, in_traceback = _open_log(self.log_file), b"", list[str](), False
        while chunk := await stream.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in (raw.decode(errors="replace").rstrip() for raw in lines):
                log.info(line)
                last = [*last[-29:], line]
                if aloud and (in_traceback or _LOUD.search(line)):
                    self.terminal.warn(self.name, line)
                in_traceback = line.startswith("Traceback ") or (in_traceback and line.startswith(" "))
        return [*last, rest.decode(errors="replace")] if rest else last


def _open_log(path: Path) -> logging.Logger:
    """The logger of one file: plain lines, 10 MB, two older ones kept."""
    logger = logging.getLogger(f"waypost.{path}")
    if not logger.handlers:
        handler = RotatingFileHandler(path, maxBytes=10_000_000, backupCount=2)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger


def _die_with_parent() -> None:
    """In the child: when the supervisor is killed, the kernel ends the child too."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _describe(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


async def _happens(event: asyncio.Event, timeout: float) -> bool:
    """Waits for the event; False when the time is over first. Seconds."""
    try:
        async with asyncio.timeout(timeout):
            return await event.wait()
    except TimeoutError:
        return False
