"""An nginx on this machine: its facts, tests, signals, workers, error log and revision.
May import: agent.config, agent.errors, agent.nginx.{guard,interface,layout,machine,system,words,wrapper}."""

from __future__ import annotations

import http.client
import logging
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from agent.config import AgentConfig
from agent.errors import NginxUnavailable, TimedOut
from agent.nginx.guard import Guard
from agent.nginx.interface import Facts, LogMark, Processes, ProcessKey, TestReport
from agent.nginx.layout import Layout
from agent.nginx.machine import has_ipv6
from agent.nginx.system import children, read_build, started_at
from agent.nginx.words import LogLine, read_lines
from agent.nginx.wrapper import NO_REVISION

_log = logging.getLogger(__name__)

TEST_SECONDS = 60.0
_MAX_LOG = 1 << 20
_MAX_ERROR_LOG = 16 << 20


class LocalNginx:
    """An nginx on this machine, run by the same user as the agent (or by anybody, when the agent is root)."""

    def __init__(self, config: AgentConfig, layout: Layout) -> None:
        self._config = config
        self._layout = layout

    def facts(self) -> Facts:
        """Version and modules of the binary, and what the running one serves."""
        version, problem = "", ""
        modules: tuple[str, ...] = ()
        try:
            version, modules = self.build()
            self.processes()
        except NginxUnavailable as error:
            problem = error.message
        serving = self.revision()
        # A stopped nginx will serve what `current` points to when it starts; saying "nothing" would be untrue.
        revision = serving or self._revision_on_disk()
        return Facts(
            version=version,
            modules=modules,
            http_port=self._config.http_port,
            https_port=self._config.https_port,
            running=bool(serving) and not problem,
            applied_revision="" if revision == NO_REVISION else revision,
            problem=problem,
            ipv6=has_ipv6(),
        )

    def test(self, conf: Path, guard: Guard) -> TestReport:
        """Runs the same binary that serves. Output is bounded by what nginx says of one configuration."""
        guard.check()
        version, _ = self.build()
        command = [self._binary(), *test_arguments(version, conf)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            output = _wait(process, guard)
        except BaseException:
            with suppress(ProcessLookupError):  # it may have ended just now
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return read_report(process.returncode, output)

    def processes(self) -> Processes:
        """Reads /proc; a few hundred microseconds, so it can be polled."""
        master = self._master()
        serving: set[ProcessKey] = set()
        leaving: set[ProcessKey] = set()
        for pid in children(master[0]):
            try:
                process = psutil.Process(pid)
                title, key = " ".join(process.cmdline()), (pid, process.create_time())
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            # A worker that was just forked still has the master's title: it serves when it says that it is a worker.
            if title.startswith("nginx: worker process"):
                (leaving if "shutting down" in title else serving).add(key)
        return Processes(master, frozenset(serving), frozenset(leaving), master[0])

    def serving_since(self) -> float:
        """From the kernel's own clock: psutil's start times are rounded to the second of the machine's start."""
        return min((started_at(pid) for pid, _ in self.processes().serving), default=0.0)

    def reload(self) -> None:
        """HUP by process id; nginx keeps its configuration when the new one is bad."""
        self.signal("HUP")

    def signal(self, name: str) -> None:
        """Sends a signal to the master."""
        try:
            os.kill(self._master()[0], signal.Signals[f"SIG{name}"])
        except PermissionError:
            raise NginxUnavailable(
                "nginx runs as another user than the agent, so the agent may not reload it. Run both as the same user."
            ) from None
        except ProcessLookupError:
            raise NginxUnavailable(self._stopped()) from None

    def address(self) -> str:
        """Where this agent finds nginx's listeners."""
        return "127.0.0.1"

    def revision(self) -> str:
        """Asks the endpoint that the wrapper adds on the loopback address."""
        try:
            connection = http.client.HTTPConnection(self.address(), self._config.status_port, timeout=1)
        except NginxUnavailable:
            return ""
        try:
            connection.request("GET", "/revision", headers={"Connection": "close"})
            answer = connection.getresponse()
            text = answer.read(200).decode("ascii", "replace").strip()
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()
        return text if answer.status == 200 and re.fullmatch(r"[0-9a-z]{1,64}", text) else ""

    def reopen_log(self) -> None:
        """By USR1; waits up to a second for the file."""
        if self._layout.error_log.exists():
            return
        self.signal("USR1")
        for _ in range(100):
            if not self._layout.error_log.exists():
                time.sleep(0.01)

    def mark_log(self) -> LogMark:
        """Inode and size of the log; zeros when there is none yet."""
        try:
            facts = self._layout.error_log.stat()
        except FileNotFoundError:
            return LogMark(0, 0)
        return LogMark(facts.st_ino, facts.st_size)

    def read_log(self, mark: LogMark) -> list[LogLine]:
        """At most the first MiB; a log that was replaced or cut is read from its beginning."""
        now = self.mark_log()
        start = mark.offset if now.inode == mark.inode and now.offset >= mark.offset else 0
        if now.offset == start:
            return []
        with self._layout.error_log.open("rb") as file:
            file.seek(start)
            return read_lines(file.read(_MAX_LOG))

    def rotate_log(self) -> None:
        """Sets a large error log aside, one generation, and tells nginx to begin a new one."""
        log = self._layout.error_log
        try:
            if log.stat().st_size > _MAX_ERROR_LOG:
                self.processes()  # a log that nobody would begin again stays
                log.replace(log.with_name("error.log.1"))
                self.signal("USR1")
        except (OSError, NginxUnavailable) as error:
            _log.debug("the error log was left alone: %s", error)

    def _binary(self) -> str:
        found = shutil.which(self._config.nginx_binary)
        if found is None:
            raise NginxUnavailable(
                f"nginx was not found on this machine ({self._config.nginx_binary}). Install it, or set"
                " AGENT_NGINX_BINARY to its path."
            )
        return found

    def build(self) -> tuple[str, tuple[str, ...]]:
        """Version and --with… arguments of the binary."""
        binary = self._binary()
        return read_build(binary, Path(binary).stat().st_mtime_ns)

    def _master(self) -> ProcessKey:
        try:
            process = psutil.Process(int(self._layout.pid.read_text()))
            title, started = " ".join(process.cmdline()), process.create_time()
        except (OSError, ValueError, psutil.NoSuchProcess):
            raise NginxUnavailable(self._stopped()) from None
        if not title.startswith("nginx: master process"):
            raise NginxUnavailable(self._stopped())
        return process.pid, started

    def _stopped(self) -> str:
        return f"nginx is not running on this machine. Start it: nginx -c {self._layout.conf}"

    def _revision_on_disk(self) -> str:
        try:
            name = self._layout.current.readlink().name
        except OSError:
            return ""
        return name.split(".")[0]


def test_arguments(version: str, conf: Path) -> list[str]:
    """What `nginx -t` of a file is called with."""
    # Without -e nginx also complains of the distribution's log file when it is not root. (1.18 has no -e.)
    quiet = ["-e", "stderr"] if tuple(map(int, version.split("."))) >= (1, 19, 5) else []
    return ["-t", "-q", *quiet, "-c", str(conf)]


def read_report(code: int, output: bytes) -> TestReport:
    """The end of a test from its exit code and its words."""
    lines = [line for line in read_lines(output) if "could not open error log file" not in line.text]
    return TestReport(code == 0, lines)


def _wait(process: subprocess.Popen[bytes], guard: Guard) -> bytes:
    """Waits for the end; looks at the guard ten times a second."""
    waited = 0.0
    while True:
        guard.check()
        try:
            return process.communicate(timeout=0.1)[0]
        except subprocess.TimeoutExpired:
            waited += 0.1
        if waited >= TEST_SECONDS:
            raise TimedOut(f"nginx did not finish the test within {TEST_SECONDS:.0f} seconds. Nothing was changed.")
