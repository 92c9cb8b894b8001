"""Proof that nginx serves a revision: exit codes and one answer prove nothing, workers and fresh connections do.
May import: agent.errors, agent.nginx.{interface,words}."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from agent.errors import NginxUnavailable, Stopping
from agent.nginx.interface import LogMark, Nginx, Processes
from agent.nginx.words import FATAL, LogLine

PROVE_SECONDS = 15.0
# An agent that is told to stop finishes a reload that ends soon; the rest is for its next start.
STOP_SECONDS = 3.0
# How long a master may be away: whoever supervises it starts it again.
RESTART_SECONDS = 10.0
ANSWERS = 5
_POLL_SECONDS = 0.01
# nginx gives new workers so long to start before it tells old ones to stop accepting: nothing is proved sooner. Until
# then only its log is looked at, so that it has the processor for itself.
_FIRST_SECONDS = 0.1
# nginx tries to bind five times, half a second apart, before it gives up and keeps its configuration.
_BIND_SECONDS = 4.0


@dataclass(frozen=True)
class Proof:
    """`problem` is empty when it is proved. `lines` are nginx's own words, when it said why not. `settled` tells that
    nginx has given the new configuration up for good."""

    problem: str = ""
    lines: tuple[LogLine, ...] = ()
    settled: bool = False

    @property
    def ok(self) -> bool:
        """Whether nginx was seen to serve the revision."""
        return not self.problem

    @property
    def is_about_ports(self) -> bool:
        """Whether nginx could not listen, which no test of files finds."""
        return any(line.text.startswith("bind()") for line in self.lines)


@dataclass(frozen=True)
class Before:
    """What was seen before a reload: who worked, and where the error log ended."""

    processes: Processes
    log: LogMark


def look(nginx: Nginx) -> Before:
    """To be taken before the reload. Raises NginxUnavailable when nginx does not run."""
    nginx.reopen_log()
    return Before(nginx.processes(), nginx.mark_log())


def prove(
    nginx: Nginx, revision: str, before: Before, stopping: threading.Event, patience: float = RESTART_SECONDS
) -> Proof:
    """Waits until no worker of before accepts connections, a new one does, and five fresh connections in a row answer
    the revision. Ends at once when nginx's master writes an error, and after `patience` seconds without a master.
    Raises Stopping when the agent must end first."""
    began = time.monotonic()
    deadline = began + PROVE_SECONDS
    seen, seen_at = "it was not seen to run", began
    while time.monotonic() < deadline:
        if _fatal_lines(nginx, before):
            return _refused(nginx, before)
        if time.monotonic() < began + _FIRST_SECONDS:
            time.sleep(_POLL_SECONDS)
            continue
        try:
            seen, seen_at = _missing(nginx, revision, before), time.monotonic()
        except NginxUnavailable as error:
            # It may be restarted just now, and then reads the new files.
            words = _start_errors(nginx, before)
            if words or time.monotonic() > seen_at + patience:
                said = words[0].text if words else error.message
                return Proof(f"nginx stopped during the reload. {said}", words, settled=True)
        if not seen:
            return Proof()
        if stopping.is_set():
            deadline = _shorten(deadline)
        time.sleep(_POLL_SECONDS)
    return Proof(f"nginx did not take the configuration over within {PROVE_SECONDS:.0f} seconds: {seen}.")


def prove_unchanged(nginx: Nginx, revision: str, before: Before) -> bool:
    """Whether the same workers still serve the same revision, so that nothing needs a reload."""
    try:
        return nginx.processes().serving == before.processes.serving and _answers(nginx, revision)
    except NginxUnavailable:
        return False


def _missing(nginx: Nginx, revision: str, before: Before) -> str:
    """What is not as it must be, in words; empty when all is."""
    now = nginx.processes()
    if not now.serving - before.processes.serving:
        return "it has started no new worker"
    if now.serving & before.processes.serving:
        return "old workers still accept connections"
    return "" if _answers(nginx, revision) else "it still answers with another revision"


def _answers(nginx: Nginx, revision: str) -> bool:
    return all(nginx.revision() == revision for _ in range(ANSWERS))


def _fatal_lines(nginx: Nginx, before: Before) -> list[LogLine]:
    """Errors of the master since then. (Workers write [crit] for every client that breaks a handshake.)"""
    master = before.processes.logged_as
    return [line for line in nginx.read_log(before.log) if line.level in FATAL and line.pid == master]


def _start_errors(nginx: Nginx, before: Before) -> tuple[LogLine, ...]:
    """Why an nginx that is being restarted does not start."""
    return tuple(line for line in nginx.read_log(before.log) if line.level == "emerg")


def _refused(nginx: Nginx, before: Before) -> Proof:
    """Waits until nginx has given up: a reload that still tries to bind could yet succeed behind our back."""
    deadline = time.monotonic() + _BIND_SECONDS
    lines = _fatal_lines(nginx, before)
    while time.monotonic() < deadline and not _has_given_up(lines):
        time.sleep(_POLL_SECONDS)
        lines = _fatal_lines(nginx, before)
    settled = _has_given_up(lines)
    taken = any("Address already in use" in line.text for line in lines)
    hint = ". Another program uses this port: stop it, or give the agent another port." if taken else ""
    return Proof(f"nginx refused the configuration: {lines[0].text}{hint}", tuple(lines), settled)


def _has_given_up(lines: list[LogLine]) -> bool:
    binding = any(line.text.startswith("bind()") for line in lines)
    fatal = any(line.level == "emerg" for line in lines)
    return any("still could not bind" in line.text for line in lines) if binding else fatal


def _shorten(deadline: float) -> float:
    now = time.monotonic()
    if now > deadline - PROVE_SECONDS + STOP_SECONDS:
        raise Stopping("The agent is being stopped while nginx reloads; its next start proves or undoes the change.")
    return deadline
