"""A real nginx in a temporary folder on free ports, and bundles to apply to it.
May import: agent, pytest, tests.product."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.config import AgentConfig
from agent.journal import ApplyEntry, Journal
from agent.nginx.apply import Applier
from agent.nginx.bundle import Bundle, BundleFile, revision_of
from agent.nginx.controller import LocalNginx
from agent.nginx.guard import Guard
from agent.nginx.layout import Layout
from agent.nginx.outcome import Outcome
from agent.nginx.setup import prepare
from agent.output import Output
from tests.product import free_ports


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Until the condition holds; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.01)


def make_bundle(
    config: AgentConfig, hosts: dict[str, str] | None = None, http: str = "", default: str = ""
) -> tuple[Bundle, dict[str, bytes]]:
    """A bundle and its contents by hash; `hosts` are file names without folder and suffix."""
    texts = {
        "http.conf": http or "server_tokens off;\n",
        "default.conf": default
        or f'server {{ listen {config.http_port} default_server; server_name ""; return 404; }}\n',
        **{f"hosts/{name}.conf": text for name, text in (hosts or {}).items()},
    }
    contents = {hashlib.sha256(text.encode()).hexdigest(): text.encode() for text in texts.values()}
    files = tuple(
        BundleFile(path, hashlib.sha256(text.encode()).hexdigest(), len(text.encode())) for path, text in texts.items()
    )
    return Bundle(revision_of(files), files), contents


def host(config: AgentConfig, name: str, answer: str = "hello", port: int = 0) -> str:
    """The file of a host that answers a text."""
    return (
        f'server {{\n    listen {port or config.http_port};\n    server_name {name};\n    return 200 "{answer}";\n}}\n'
    )


def get(port: int, name: str) -> tuple[int, str]:
    """Status and body for a host name, on a fresh connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"GET / HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
        data = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


@dataclass
class Contents:
    """A source of contents that remembers what was asked for."""

    known: dict[str, bytes]
    asked: list[str] = field(default_factory=list)

    def fetch(self, sha256s: Sequence[str], _guard: Guard) -> dict[str, bytes]:
        self.asked += sha256s
        return {sha256: self.known[sha256] for sha256 in sha256s}


@dataclass
class Bench:
    """An agent's engine beside a real nginx."""

    config: AgentConfig
    layout: Layout
    journal: Journal
    nginx: LocalNginx
    applier: Applier
    process: subprocess.Popen[bytes] | None = None
    asked: list[str] = field(default_factory=list)

    def start(self) -> None:
        """As a supervisor does it."""
        self.process = subprocess.Popen(
            ["nginx", "-c", str(self.layout.conf), "-g", "daemon off;"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self.nginx.revision)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
            self.process = None

    def guard(self) -> Guard:
        """A minute."""
        return Guard(time.monotonic() + 60)

    def output(self, command_id: str) -> Output:
        return Output(command_id, self.journal, lambda _: None)

    def apply(self, hosts: dict[str, str], command_id: str = "c1", http: str = "") -> Outcome:
        bundle, contents = make_bundle(self.config, hosts, http)
        return self.apply_bundle(bundle, contents, command_id)

    def apply_bundle(
        self, bundle: Bundle, contents: dict[str, bytes], command_id: str = "c1", guard: Guard | None = None
    ) -> Outcome:
        source, output = Contents(contents), self.output(command_id)
        self.journal.accept(command_id, 1, "apply_config", command_id, b"")
        try:
            return self.applier.apply(command_id, bundle, source, output, guard or self.guard())
        finally:
            output.close()
            self.asked = source.asked

    def recover(self, entry: ApplyEntry, seconds: float = 5.0) -> Outcome | None:
        output = self.output(entry.command_id)
        try:
            return self.applier.recover(entry, output, Guard(time.monotonic() + seconds))
        finally:
            output.close()

    def lines(self, command_id: str = "c1") -> list[tuple[str, str, str]]:
        return [(stage, level, text) for _, _, stage, level, text in self.journal.lines_after(command_id, 0, 1000)]

    def text(self, command_id: str = "c1") -> str:
        return "\n".join(text for _, _, text in self.lines(command_id))

    def get(self, name: str) -> tuple[int, str]:
        return get(self.config.http_port, name)


@pytest.fixture
def agent_config(tmp_path: Path) -> AgentConfig:
    """Settings with free ports and a folder of its own."""
    http_port, https_port, status_port = free_ports(3)
    return AgentConfig(
        state_dir=tmp_path / "agent",
        nginx_binary=shutil.which("nginx") or "nginx",
        http_port=http_port,
        https_port=https_port,
        status_port=status_port,
        letsencrypt_dir=tmp_path / "letsencrypt",
    )


@pytest.fixture
def stopped_bench(agent_config: AgentConfig) -> Iterator[Bench]:
    """A prepared agent whose nginx is not running."""
    prepare(agent_config)
    layout = Layout(agent_config.nginx_dir)
    journal = Journal(agent_config.journal_path)
    nginx = LocalNginx(agent_config, layout)
    bench = Bench(agent_config, layout, journal, nginx, Applier(agent_config, layout, nginx, journal, patience=3.0))
    yield bench
    bench.stop()
    journal.close()


@pytest.fixture
def bench(stopped_bench: Bench) -> Bench:
    """A prepared agent beside a running nginx."""
    stopped_bench.start()
    return stopped_bench


@pytest.fixture
def guard() -> Guard:
    """A minute."""
    return Guard(time.monotonic() + 60, threading.Event(), threading.Event())


def is_root() -> bool:
    """Whether nginx can choose its workers' user here."""
    return os.geteuid() == 0
