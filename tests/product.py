"""The whole product as a person runs it: the real supervisor on free ports and a folder of its own, and an upstream.
May import: psutil, panel.embedded. Used by end-to-end tests, benchmarks and the screenshots."""

from __future__ import annotations

import fcntl
import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import IO, Any

import psutil

from panel.embedded.system_packages import find_program

ROOT = Path(__file__).resolve().parents[1]
PORTS = (
    "PANEL_PORT",
    "PANEL_STREAM_PORT",
    "PANEL_ENROLL_PORT",
    "AGENT_HTTP_PORT",
    "AGENT_HTTPS_PORT",
    "AGENT_STATUS_PORT",
    "PEBBLE_PORT",
    "PEBBLE_MANAGEMENT_PORT",
    "PEBBLE_DNS_PORT",
    "PEBBLE_DNS_MANAGEMENT_PORT",
)

# From, to and how many for each process; below those of net.ipv4.ip_local_port_range.
QUIET_PORTS = (20_000, 32_000, 1_000)
_SHARES: list[IO[str]] = []


def find_nginx() -> str:
    """The nginx of this machine, also when it is not on the PATH of a normal user."""
    return find_program("nginx") or "nginx"


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, all different. Linux gives them to no outgoing connection, so that a server finds
    its port again when it is stopped and started."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as probe, suppress(OSError):
            port = next(_own_ports())
            probe.bind(("", port))
            found.append(port)
    return found


@cache
def _own_ports() -> Iterator[int]:
    """One after the other, out of a share that no other process has which runs tests now: a port that was given out
    and is not used yet is nobody else's."""
    for first in range(*QUIET_PORTS):
        file = Path(tempfile.gettempdir(), f"waypost-test-ports-{first}").open("w")  # noqa: SIM115 - it stays open
        _SHARES.append(file)  # held until the process ends
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cycle(range(first, first + QUIET_PORTS[2]))
    raise RuntimeError("No share of ports is left: too many processes run tests.")


def wait_until(true: Callable[[], Any], what: str, timeout: float = 30.0) -> Any:
    """Looks every 50 ms at something that gives no event (another process), and returns what it became. Seconds."""
    deadline = time.monotonic() + timeout
    while not (value := true()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(0.05)
    return value


@dataclass
class Answer:
    """What a web server said."""

    status: int
    body: str
    headers: dict[str, str]


def fetch(port: int, host: str = "127.0.0.1", path: str = "/", headers: dict[str, str] | None = None) -> Answer:
    """One GET on a connection of its own, like curl with a Host header."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host, **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, response.read().decode(errors="replace"), dict(response.getheaders()))
    finally:
        connection.close()


@dataclass
class Product:
    """One supervisor process and what belongs to it. `environment` is added to the process's own."""

    state: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    ready: str = "Ctrl-C stops everything."

    def __post_init__(self) -> None:
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.output: list[str] = []
        self._news = threading.Condition()
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """The panel's address."""
        return f"http://127.0.0.1:{self.ports['PANEL_PORT']}"

    @property
    def http_port(self) -> int:
        """Where nginx serves hosts."""
        return self.ports["AGENT_HTTP_PORT"]

    @property
    def setup_link(self) -> str:
        """The one-time link as the file has it."""
        return (self.state / "panel" / "setup-link").read_text().strip()

    def start(self) -> Product:
        """Starts the supervisor and returns when it says that everything runs."""
        environment = {**os.environ, **{name: str(port) for name, port in self.ports.items()}, **self.environment}
        command = [sys.executable, "-m", "panel.embedded.supervisor", "--state", str(self.state), *self.arguments]
        self.output.clear()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        self.wait_for_line(self.ready)
        return self

    def wait_for_line(self, text: str, timeout: float = 90.0, after: int = 0) -> str:
        """The first line of the supervisor's output that has the text, of those after the first so many. Seconds."""

        def found() -> str | None:
            return next((line for line in self.output[after:] if text in line), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._has_ended(), timeout)
            line = found()
        if line is None:
            raise AssertionError(f"no line with {text!r}:\n" + "\n".join(self.output) + "\n" + self.logs())
        return line

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 20.0) -> int:
        """Sends the signal and returns the exit code. Seconds."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise

    def child(self, name: str) -> psutil.Process:
        """The running process of panel, agent, nginx (its master), pebble (the authority) or names (its DNS)."""
        assert self.process is not None
        words = {
            "panel": "wsgi.py",
            "agent": "agent run",
            "nginx": "daemon off",
            "pebble": "pebble -config",
            "names": "challtestsrv",
        }[name]

        def found() -> psutil.Process | None:
            assert self.process is not None
            children = psutil.Process(self.process.pid).children()
            return next((child for child in children if words in command_line(child)), None)

        process: psutil.Process = wait_until(found, f"{name} runs")
        return process

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the panel's database, read only."""
        connection = sqlite3.connect(f"file:{self.state / 'panel' / 'panel.sqlite3'}?mode=ro", uri=True)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def wait_online(self, agents: int = 1) -> None:
        """Returns when so many agents are connected and resynchronised."""
        wait_until(
            lambda: self.query("SELECT count(*) FROM agent WHERE is_connected AND is_synced")[0][0] >= agents,
            f"{agents} agents online",
        )

    def logs(self) -> str:
        """The ends of all log files: what a person would read after a failure."""
        files = sorted((self.state / "log").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text()[-4000:]}" for file in files)

    def _has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                with self._news:
                    self.output.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()


def command_line(process: psutil.Process) -> str:
    """Its arguments; empty when it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextmanager
def running_product(state: Path, **environment: str) -> Iterator[Product]:
    """A product that runs inside the block."""
    product = Product(state, environment)
    try:
        yield product.start()
    finally:
        if product.process is not None:
            product.stop()


class UpstreamServer(ThreadingHTTPServer):
    """Says nothing when a killed nginx leaves it in the middle of an answer."""

    request_queue_size = 256  # with the usual 5, a burst of connections waits a second for its second try

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints the trace of every other error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def running_upstream(text: str) -> Iterator[int]:
    """A web server that answers `text` and the headers it got; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or the body waits 40 ms for nginx's word on the headers

        def do_GET(self) -> None:
            body = f"{text}\n{self.headers}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Says nothing."""

    with UpstreamServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()
